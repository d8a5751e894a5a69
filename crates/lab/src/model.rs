//! The scene models: small CLIPs with their own vocabulary, in the published layout.

use clove::device::Device;
use clove::model::{Activation, ClipConfig, ImageConfig, TextConfig, Transformer};
use clove::preprocess::{Preprocess, PreprocessError};
use clove::score::Scorer;
use clove::tokenizer::{EotRule, Tokenizer, TokenizerError, pruned_tokenizer_json};
use clove::weights::Snapshot;

use crate::error::LabError;

/// Width and height of the pictures, in pixels.
pub const IMAGE_SIZE: usize = 48;

/// The most tokens of a caption, including start and end; a scene of four objects fits.
pub const CONTEXT_LENGTH: usize = 32;

/// The scene models' tokenizer.json: the few hundred entries of CLIP's vocabulary that the words of scenes need.
pub fn tokenizer_json() -> String {
    pruned_tokenizer_json(&clove_scenes::words())
}

/// The scene models' tokenizer.
///
/// # Errors
/// Never: [`tokenizer_json`] is valid.
pub fn tokenizer() -> Result<Tokenizer, TokenizerError> {
    Tokenizer::from_json(tokenizer_json().as_bytes(), CONTEXT_LENGTH)
}

/// CLIP's preprocessing at the scene models' size.
///
/// # Errors
/// Never: the size is in range.
pub fn preprocess() -> Result<Preprocess, PreprocessError> {
    Preprocess::clip(IMAGE_SIZE as u32)
}

/// The shape of the scene models.
pub fn config(tokenizer: &Tokenizer) -> ClipConfig {
    const WIDTH: usize = 64;
    const HEADS: usize = 4;
    let transformer = |layers| Transformer {
        width: WIDTH,
        layers,
        heads: HEADS,
        mlp_width: 4 * WIDTH,
        activation: Activation::QuickGelu,
        layer_norm_epsilon: 1e-5,
    };
    ClipConfig {
        embed_dim: WIDTH,
        image: ImageConfig { image_size: IMAGE_SIZE, patch_size: 8, transformer: transformer(3) },
        text: TextConfig {
            context_length: CONTEXT_LENGTH,
            vocab_size: tokenizer.vocab_size(),
            transformer: transformer(2),
            eot: EotRule::FirstOf(tokenizer.end_id()),
            start_id: Some(tokenizer.start_id()),
        },
    }
}

/// A scene model ready to embed.
///
/// # Errors
/// If the device fails.
pub async fn scorer(model: &Snapshot, device: &Device) -> Result<Scorer, LabError> {
    let clip = model.config().build(&mut model.clone(), device)?;
    Ok(Scorer::new(clip, model.config().clone(), tokenizer()?, preprocess()?, device).await?)
}
