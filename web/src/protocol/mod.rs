//! The messages between the page and an engine.
//!
//! A message is an array: JSON text of these types; bytes or null, which are transferred and not copied; and in requests with
//! files, the files. The page numbers its requests. The engine answers each once and in order, except requests about models on
//! the web: those are answered when they are done, and may send [`Answer::Progress`] before.

mod answer;
mod ask;

use serde::{Deserialize, Serialize};

pub use self::answer::Answer;
pub use self::ask::Ask;

/// A request of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The page's number for it.
    pub id: u32,
    /// The request.
    pub ask: Ask,
}

/// A reply of an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's number.
    pub id: u32,
    /// The answer.
    pub answer: Answer,
}

/// The place of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Where {
    /// The page's scene models: the pretrained one, or the fine-tuned one.
    #[default]
    Scenes,
    /// The browser's storage, under this name.
    Kept(String),
    /// The user's disk, under the name of [`Ask::Files`].
    Disk(String),
}

/// The shape of a model to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// The model in use.
    InUse,
    /// OpenAI's ViT-B/32, with random weights.
    VitB32,
}

/// The models in the browser's storage.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The models, by name.
    pub models: Vec<KeptModel>,
    /// Bytes of the storage in use.
    pub usage: f64,
    /// The storage's quota in bytes, if known.
    pub quota: Option<f64>,
}

/// A stored model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptModel {
    /// Its name.
    pub place: String,
    /// Bytes stored.
    pub bytes: u64,
    /// Bytes in total, if known.
    pub total: Option<u64>,
    /// Whether it's complete and can be opened.
    pub complete: bool,
}

/// The models in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The pretrained model's name.
    pub name: String,
    /// The fine-tuned model's name.
    pub finetuned: Option<String>,
    /// Parameters of one model.
    pub parameters: u64,
    /// Width and height of its pictures.
    pub image_size: u32,
    /// The most tokens of a caption.
    pub context: u32,
}

/// A model found on the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its name, also in the browser's storage.
    pub place: String,
    /// Bytes in total, if known.
    pub bytes: Option<u64>,
    /// The model's files.
    pub files: Vec<String>,
}

/// Contributions of words and similarities of patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Each word's contribution: the caption's similarity minus that without the word.
    pub words: Vec<(String, f32)>,
    /// Patches per row and per column.
    pub side: u32,
    /// The cosine of each patch with the caption, row by row.
    pub patches: Vec<f32>,
}

/// A hard negative, as `clove-negatives` makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Negative {
    /// The whole text.
    pub text: String,
    /// The alteration, in SugarCrepe's terms.
    pub kind: String,
    /// The caption's words that were replaced.
    pub from: String,
    /// Their replacement.
    pub to: String,
}
