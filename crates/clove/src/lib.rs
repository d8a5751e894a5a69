//! CLIP on any GPU: train, patch, score, evaluate.
//!
//! The method is CLoVe (Castro et al., arXiv 2402.15021): fine-tune a CLIP on rich captions with hard negative texts, then patch,
//! that is, interpolate with the pretrained weights. The modules in reading order:

pub mod tokenizer;

pub mod preprocess;

pub mod model;

pub mod weights;

pub mod loss;

#[cfg(feature = "train")]
pub mod train;

pub mod patch;

pub mod score;

pub mod evaluate;

pub mod device;

pub mod check;
