//! What the page and an engine say to each other.
//!
//! A message crosses as an array of two: this as JSON text, and bytes or null (an image's file, a lexicon), which are handed
//! over and not copied. The page numbers its requests; the engine answers in their order, once each.

use serde::{Deserialize, Serialize};

/// From the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Counted by the page.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What the page asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Open the device and the bundled models; the first request.
    Open,
    /// Take an image, whose file's bytes come along; embed it when it is first scored.
    Image {
        /// The page's name for it.
        image: u32,
    },
    /// Draw a sample picture, a scene of the bundled models' world, and take it.
    Sample {
        /// The page's name for it.
        image: u32,
        /// Which one, from 0.
        number: u32,
    },
    /// Score captions against an image.
    Score {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// How far to patch, from 0 (pretrained) to 1 (fine-tuned).
        alpha: f64,
    },
    /// Score captions against an image at several alphas.
    Curve {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// From 0 to 1.
        alphas: Vec<f64>,
    },
    /// Take the lexicon of hard negatives, whose bytes come along.
    Lexicon,
    /// Make hard negatives.
    Negatives {
        /// The caption.
        caption: String,
        /// Other captions of the image.
        others: Vec<String>,
        /// `replace`, `negclip`, `swap`, `shuffle` or `mixed`.
        style: String,
        /// Most to make.
        count: usize,
        /// Another gives others.
        seed: u64,
    },
    /// What each word of a caption adds to its similarity with an image.
    Words {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// How far to patch.
        alpha: f64,
    },
}

/// From an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's.
    pub id: u32,
    /// The answer.
    pub answer: Answer,
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Open`].
    Opened {
        /// `WebGPU` or `CPU`.
        backend: String,
        /// The adapter, or what computes.
        adapter: String,
        /// The models.
        model: Model,
        /// Largest difference of the bundled model's embeddings from the known ones.
        difference: f32,
        /// How long opening took.
        milliseconds: f64,
    },
    /// To [`Ask::Image`] and [`Ask::Sample`].
    Image {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// A sample's caption.
        caption: Option<String>,
        /// A sample's pixels, three bytes each: they come along as bytes.
        pixels: bool,
    },
    /// To [`Ask::Score`].
    Scores {
        /// Cosines, a caption each.
        similarities: Vec<f32>,
        /// Softmax of cosines times the model's scale.
        probabilities: Vec<f32>,
        /// How long it took.
        milliseconds: f64,
    },
    /// To [`Ask::Curve`]: for each alpha the cosines.
    Curve {
        /// As they were asked for.
        alphas: Vec<f64>,
        /// `[alphas][captions]`.
        similarities: Vec<Vec<f32>>,
    },
    /// To [`Ask::Lexicon`].
    Lexicon,
    /// To [`Ask::Negatives`].
    Negatives {
        /// What was made.
        negatives: Vec<Negative>,
        /// Why nothing was.
        why_none: Option<String>,
    },
    /// To [`Ask::Words`].
    Words {
        /// Words with what each adds: the similarity less that of the caption without it.
        words: Vec<(String, f32)>,
    },
    /// To anything that failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// The models that an engine holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Numbers in it.
    pub parameters: u64,
    /// Width and height of its pictures.
    pub image_size: u32,
    /// Most tokens of a caption.
    pub context: u32,
}

/// A hard negative, as `clove-negatives` makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Negative {
    /// The whole text.
    pub text: String,
    /// What was done, in SugarCrepe's terms.
    pub kind: String,
    /// What stood in the caption.
    pub from: String,
    /// What stands there now.
    pub to: String,
}
