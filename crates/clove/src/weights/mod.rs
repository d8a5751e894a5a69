//! Published checkpoints: opened, read strictly, and written in either layout.
//!
//! [`ModelSource`] opens a directory or files in memory; its [`Weights`] are a source of parameters for [`crate::model`]; [`write_model`]
//! writes them into an [`OutputDir`]. A parameter that is missing, unused, of another shape or not finite is an error that names it.

mod checked;
mod companions;
mod dtype;
pub mod durable;
mod files;
mod inferred;
mod names;
mod output;
mod snapshot;
mod source;
mod tensors;
mod write;

use std::io;

use thiserror::Error;

pub use checked::Weights;
pub use companions::SMALL_FILES;
pub(crate) use companions::copy_unchanged;
pub use dtype::decode_f32;
pub(crate) use dtype::encode_finite;
pub use durable::{AtomicFile, write_file};
pub use files::{Directory, InMemory, ModelFiles, Reopen, SingleFile};
pub(crate) use names::TEXT_POSITIONS;
pub use names::{Layout, parameters};
pub use output::{OutputDir, refuse_inputs};
pub use snapshot::Snapshot;
pub use source::ModelSource;
pub use tensors::{Dtype, NamedReader, ReadSeek, TensorFiles, TensorWriter};
pub use write::{Precision, write_model};

use crate::model::ConfigError;
use crate::tokenizer::TokenizerError;

/// Why a model can't be read or written.
#[derive(Debug, Error)]
#[error("{file}: {problem}")]
pub struct WeightsError {
    /// The file, the files or the place of the model.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with the files of a model. Lists of tensors are sorted.
#[derive(Debug, Error)]
pub enum Problem {
    /// The place has no model.
    #[error("{0}")]
    NotAModel(String),
    /// The file can't be read.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// The file can't be written.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The file has the wrong format or content.
    #[error("{0}")]
    Malformed(String),
    /// Two shards have a tensor of this name.
    #[error("tensor `{0}` is also in another file of this model")]
    Duplicate(String),
    /// Tensors that the configuration requires are missing.
    #[error("{} missing: {}", count(.0), list(.0))]
    Missing(Vec<String>),
    /// The configuration has no use for some tensors.
    #[error("{} not in the configuration: {}", count(.0), list(.0))]
    Unused(Vec<String>),
    /// The shapes of some tensors differ from the configuration: `name [found] instead of [expected]`.
    #[error("{} with another shape than in the configuration: {}", count(.0), list(.0))]
    Shape(Vec<String>),
    /// A tensor's element type isn't supported.
    #[error("tensor `{0}` has element type {1:?}; F32, F16 and BF16 are supported")]
    Dtype(String, Dtype),
    /// A tensor with an element that is infinite or not a number.
    #[error("tensor `{0}` has the element {1}; every element must be finite")]
    NotFinite(String, f32),
    /// A tensor with an element beyond the range of the type to write.
    #[error(
        "tensor `{0}` has the element {1}, which is infinite in {2:?}; write F32 (--dtype f32)"
    )]
    TooLarge(String, f32, Dtype),
    /// The logit scale is out of range.
    #[error(
        "tensor `logit_scale` is {0}, which is no logarithm of a CLIP's scale: it may be stored exponentiated; store ln(100) = 4.6 for 100"
    )]
    LogitScale(f32),
    /// The place to write to can't be used, and the remedy.
    #[error("{0}")]
    Output(String),
    /// The configuration of the model or of its preprocessing can't be used.
    #[error("{0}")]
    Config(#[source] ConfigError),
    /// The tokenizer can't be used.
    #[error("{0}")]
    Tokenizer(#[source] TokenizerError),
}

impl Problem {
    /// The error of a file with this problem.
    pub fn of(self, file: impl Into<String>) -> WeightsError {
        WeightsError { file: file.into(), problem: self }
    }
}

fn count(tensors: &[String]) -> String {
    format!("{} tensor{}", tensors.len(), if tensors.len() == 1 { "" } else { "s" })
}

/// Enough names to see the pattern; a wrong layout would name hundreds.
fn list(tensors: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = tensors.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if tensors.len() > SHOWN {
        format!("{shown} and {} more", tensors.len() - SHOWN)
    } else {
        shown
    }
}
