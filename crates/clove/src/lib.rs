//! CLIP on any GPU: train, patch, score, evaluate.
//!
//! The method is CLoVe (Castro et al., arXiv 2402.15021): fine-tune on rich captions with hard negative texts, then patch.
//!
//! Score a photo against two captions:
//!
//! ```no_run
//! use clove::device::{self, DeviceChoice};
//! use clove::preprocess::{DecodeLimits, decode};
//! use clove::score::Scorer;
//! use clove::weights::{Directory, ModelSource};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = ModelSource::open(Box::new(Directory("clip-vit-base-patch32".into())))?;
//! let device = device::open(DeviceChoice::Auto)?.device;
//! let scorer = pollster::block_on(Scorer::load(&source, &device))?;
//! let photo = decode(&std::fs::read("photo.jpg")?, &DecodeLimits::default())?;
//! let image = pollster::block_on(scorer.embed_pixels(scorer.pixels(&photo)?))?;
//! let captions = ["a horse rides a man", "a man rides a horse"];
//! let texts = pollster::block_on(scorer.embed_texts(&captions, &mut |_| ()))?;
//! for (caption, share) in captions.iter().zip(scorer.scores(&image, 0, &texts).probabilities) {
//!     println!("{share:.3} {caption}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Patch a fine-tuned model halfway back to the pretrained one:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use clove::patch::patch_to;
//! use clove::weights::{Directory, ModelSource, OutputDir};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inputs = ["clip-vit-base-patch32", "runs/mine/model"].map(Path::new);
//! let [pretrained, finetuned] =
//!     inputs.map(|dir| ModelSource::open(Box::new(Directory(dir.to_owned()))));
//! let out = OutputDir::claim(Path::new("patched"), false, &inputs)?;
//! patch_to(&pretrained?, &finetuned?, 0.5, &out, &mut |done, total| {
//!     println!("{done} of {total} bytes");
//! })?;
//! out.commit()?;
//! # Ok(())
//! # }
//! ```
//!
//! The modules in reading order: [`tokenizer`], [`preprocess`], [`model`], [`weights`], [`loss`], `train`, [`patch`], [`score`],
//! [`evaluate`], [`device`], [`check`].

pub mod check;
mod config;
pub mod device;
pub mod evaluate;
pub mod loss;
pub mod model;
pub mod patch;
pub mod preprocess;
pub mod score;
pub mod tokenizer;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;
