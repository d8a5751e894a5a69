//! Published checkpoints: found, read strictly, and written back in either layout.
//!
//! [`ModelSource`] opens a directory (or a set of files in memory) and tells what it holds; its [`Weights`] give the parameters
//! of [`crate::model`]. [`write_model`] writes them out again. A parameter that's missing, unused or of another shape is an
//! error that names it: a model that loads is the model that was saved.

mod dtype;
mod files;
mod names;
mod snapshot;
mod source;
mod tensors;
mod write;

use std::io;

use thiserror::Error;

pub use dtype::decode_f32;
pub(crate) use dtype::encode_f32;
pub use files::{Directory, InMemory, ModelFiles, Reopen, SingleFile};
pub use names::{Layout, parameters};
pub use snapshot::Snapshot;
pub use source::{ModelSource, Weights};
pub use tensors::{Dtype, NamedReader, ReadSeek, TensorFiles, TensorWriter};
pub(crate) use write::is_same_place;
pub use write::{AtomicFile, Precision, copy_unchanged, write_model};

use crate::model::ConfigError;
use crate::tokenizer::TokenizerError;

/// Why a model can't be read or written. Each message names the file.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The directory isn't a model's.
    #[error("{place}: {reason}")]
    NotAModel {
        /// The directory.
        place: String,
        /// What was looked for, and what to do.
        reason: String,
    },
    /// A file can't be read.
    #[error("{file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file can't be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file isn't what its name says.
    #[error("{file}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What's wrong.
        reason: String,
    },
    /// Two shards hold a tensor of the same name.
    #[error("{file}: tensor `{tensor}` stands in another file of this model too")]
    Duplicate {
        /// The second file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// Tensors that the configuration asks for aren't there.
    #[error("{file}: {} missing: {}", count(tensors, "tensor"), list(tensors))]
    Missing {
        /// The file or files.
        file: String,
        /// The tensors, sorted.
        tensors: Vec<String>,
    },
    /// Tensors are there that the configuration has no use for.
    #[error(
        "{file}: {} that the configuration doesn't describe: {}",
        count(tensors, "tensor"),
        list(tensors)
    )]
    Unused {
        /// The file or files.
        file: String,
        /// The tensors, sorted.
        tensors: Vec<String>,
    },
    /// Tensors have another shape than the configuration says.
    #[error(
        "{file}: {} of another shape than the configuration says: {}",
        count(tensors, "tensor"),
        list(tensors)
    )]
    Shape {
        /// The file or files.
        file: String,
        /// `name [found] instead of [expected]`, sorted.
        tensors: Vec<String>,
    },
    /// A tensor's elements are of a type that isn't read.
    #[error("{file}: tensor `{tensor}` has elements of type {dtype:?}; F32, F16 and BF16 are read")]
    Dtype {
        /// The file or files.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// The configuration can't be used.
    #[error("{file}: {source}")]
    Config {
        /// The file.
        file: String,
        /// Why.
        source: ConfigError,
    },
    /// The preprocessing can't be used.
    #[error("{file}: {source}")]
    Preprocess {
        /// The file.
        file: String,
        /// Why.
        source: crate::preprocess::ConfigError,
    },
    /// The tokenizer can't be used.
    #[error("{file}: {source}")]
    Tokenizer {
        /// The file.
        file: String,
        /// Why.
        source: TokenizerError,
    },
}

fn count(tensors: &[String], noun: &str) -> String {
    format!("{} {noun}{}", tensors.len(), if tensors.len() == 1 { "" } else { "s" })
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
