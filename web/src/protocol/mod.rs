//! What the page and an engine say to each other.
//!
//! A message crosses as an array: this as JSON text; bytes or null (an image's file, a lexicon), which are handed over and not
//! copied; from the page also files, where a request is about some. The page numbers its requests. The engine answers each
//! once: in their order, but for those about models on the web, which wait for nobody and may tell of [`Answer::Progress`].

mod answer;
mod ask;

use serde::{Deserialize, Serialize};

pub use self::answer::Answer;
pub use self::ask::Ask;

/// From the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Counted by the page.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// From an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's.
    pub id: u32,
    /// The answer.
    pub answer: Answer,
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
