//! What the page and an engine say to each other.
//!
//! A message crosses as an array: this as JSON text; bytes or null (an image's file, a lexicon), which are handed over and not
//! copied; from the page also files, where a request is about some. The page numbers its requests. The engine answers each
//! once: in their order, but for those about models on the web, which wait for nobody and may tell of [`Answer::Progress`].

use serde::{Deserialize, Serialize};

use crate::lab;

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
    /// Open the device and the scene models, whose two files come along, one after the other; the first request.
    Open {
        /// Bytes of the pretrained one; the fine-tuned one's differences follow.
        pretrained: u32,
    },
    /// Take an image, whose file's bytes come along; embed it when it is first scored.
    Image {
        /// The page's name for it.
        image: u32,
        /// Whether the device resizes it, where its kernels run.
        #[serde(default)]
        on_device: bool,
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
    /// How similar a caption is to each patch of an image.
    Heat {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// How far to patch.
        alpha: f64,
    },
    /// The embeddings of an image and of captions.
    Embed {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// How far to patch.
        alpha: f64,
    },
    /// Take the files of a model from the user's disk; they come along.
    Files {
        /// What messages call their folder; [`Where::Disk`] names it.
        place: String,
    },
    /// Put other models in use; images must be handed over again.
    Load {
        /// The pretrained model, or the only one.
        pretrained: Where,
        /// The fine-tuned one.
        finetuned: Option<Where>,
    },
    /// How long a model of a shape takes for an image and for a caption.
    Time {
        /// Which model.
        shape: Shape,
        /// How often each is measured.
        runs: u32,
    },
    /// How long it takes to make a photo ready for a model of 224 pixels.
    TimePhoto {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// How often each is measured.
        runs: u32,
    },
    /// Check the device again, as on [`Ask::Open`].
    Check {
        /// An item whose numbers are wronged first, to see whether the check finds it.
        fault: Option<String>,
    },
    /// How much memory is in use.
    Memory,
    /// What the web holds of a model, and how much that is.
    Look {
        /// A hub's name for it, or an address.
        place: String,
        /// The hub's address, if it's not the usual one.
        hub: Option<String>,
    },
    /// Fetch a model into the browser's storage, or the rest of it.
    Fetch {
        /// As for [`Ask::Look`].
        place: String,
        /// As for [`Ask::Look`].
        hub: Option<String>,
    },
    /// Stop a [`Ask::Fetch`]; what has come is kept.
    Stop {
        /// The request's number.
        fetch: u32,
    },
    /// Which models the browser keeps.
    Kept,
    /// Remove one of them.
    Forget {
        /// Its name.
        place: String,
    },
    /// What the lab's page asks; engines that train answer.
    Lab(lab::Ask),
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Where {
    /// It came with the page: the pretrained scene model, or as the fine-tuned one its sister.
    Scenes,
    /// The browser's storage keeps it, under this name.
    Kept(String),
    /// The user chose it, and [`Ask::Files`] named it so.
    Disk(String),
}

/// A model's shape, for measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// The model in use.
    InUse,
    /// OpenAI's ViT-B/32, with random weights.
    VitB32,
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
        /// The scene models.
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
        /// A wrong caption of the sample, a hard one.
        #[serde(default)]
        wrong: Option<String>,
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
    /// To [`Ask::Heat`].
    Heat {
        /// Patches in a row; there are as many rows.
        side: u32,
        /// Cosines with the patches, row by row.
        similarities: Vec<f32>,
        /// The part of the image that the model sees, as fractions of its width and height: left, top, width, height. More
        /// than the image where a margin was added.
        seen: [f64; 4],
    },
    /// To [`Ask::Embed`]: rows as little-endian f32 come along as bytes, the image's first.
    Embeddings {
        /// Numbers a row.
        width: u32,
    },
    /// To [`Ask::Load`].
    Loaded(Model),
    /// To [`Ask::Time`].
    Times {
        /// Milliseconds of each run, for one image.
        image: Vec<f64>,
        /// Milliseconds of each run, for one caption of twelve words.
        caption: Vec<f64>,
    },
    /// To [`Ask::TimePhoto`]: milliseconds of each run, until the device has the numbers.
    PhotoTimes {
        /// Resized by the host.
        host: Vec<f64>,
        /// By the device; none where its kernels don't run.
        device: Vec<f64>,
    },
    /// To [`Ask::Memory`]: bytes of WebAssembly's memory.
    Memory {
        /// In bytes.
        bytes: f64,
    },
    /// To [`Ask::Look`].
    Found {
        /// Its name, by which it will be kept.
        place: String,
        /// Bytes in all, where that's told.
        bytes: Option<u64>,
        /// The model's files.
        files: Vec<String>,
    },
    /// While a request is being answered.
    Progress {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where that's known.
        total: Option<u64>,
    },
    /// To [`Ask::Kept`], [`Ask::Fetch`] and [`Ask::Forget`].
    Kept(Kept),
    /// To [`Ask::Files`], [`Ask::Check`] and [`Ask::Stop`].
    Done,
    /// To [`Ask::Lab`].
    Lab(lab::Answer),
    /// To anything that failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What the browser keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The models, by name.
    pub models: Vec<KeptModel>,
    /// Bytes that the page uses of the browser's storage.
    pub usage: f64,
    /// Bytes that it may use, where the browser says.
    pub quota: Option<f64>,
}

/// A model that the browser keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptModel {
    /// Its name.
    pub place: String,
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes that belong to it, where that's known.
    pub total: Option<u64>,
    /// Whether they are the same, and can be opened.
    pub complete: bool,
}

/// The models that an engine holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The pretrained one's name.
    pub name: String,
    /// The fine-tuned one's.
    pub finetuned: Option<String>,
    /// Numbers in one of them.
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
