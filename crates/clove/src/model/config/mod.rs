//! A model's shape, read from the published configuration files and written back to them.

mod formats;

use serde::{Deserialize, Serialize};

pub use crate::config::ConfigError;
use crate::tokenizer::EotRule;

/// The non-linearity of the perceptrons, always read from the configuration: with the wrong one features are poor, without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Gaussian error linear unit, exact (`gelu`).
    Gelu,
    /// `x * sigmoid(1.702 x)` (`quick_gelu`): OpenAI's weights and models trained from them.
    QuickGelu,
}

impl Activation {
    /// The name in Hugging Face's `hidden_act`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick_gelu",
        }
    }
}

/// The shape of a tower's transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformer {
    /// Width of the hidden states.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads in each block.
    pub heads: usize,
    /// Width inside the perceptron.
    pub mlp_width: usize,
    /// Activation of the perceptron.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub layer_norm_epsilon: f64,
}

/// The shape of the image tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// Width and height of its input, in pixels.
    pub image_size: usize,
    /// Width and height of a patch.
    pub patch_size: usize,
    /// Its transformer.
    pub transformer: Transformer,
}

impl ImageConfig {
    /// Tokens in an image: the class token and the patches.
    pub fn tokens(&self) -> usize {
        1 + (self.image_size / self.patch_size).pow(2)
    }
}

/// The shape of the text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Maximum number of tokens in a text, including start and end.
    pub context_length: usize,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Its transformer.
    pub transformer: Transformer,
    /// Which token is pooled.
    pub eot: EotRule,
    /// The id of start-of-text, if the configuration names one.
    pub start_id: Option<u32>,
}

/// The shape of a CLIP.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Width of the shared embedding space.
    pub embed_dim: usize,
    /// The image tower.
    pub image: ImageConfig,
    /// The text tower.
    pub text: TextConfig,
}

impl ClipConfig {
    /// The number of parameters, logit scale included.
    pub fn parameters(&self) -> usize {
        let all = crate::weights::parameters(self).into_iter();
        all.map(|(_, shape)| shape.into_iter().product::<usize>()).sum()
    }

    /// Both towers, with the names that messages give them.
    pub(crate) fn transformers(&self) -> [(&'static str, &Transformer); 2] {
        [("image", &self.image.transformer), ("text", &self.text.transformer)]
    }

    /// Checks values of either format for contradictions.
    fn check(self) -> Result<Self, ConfigError> {
        let (image, text) = (&self.image, &self.text);
        if !image.image_size.is_multiple_of(image.patch_size) {
            return Err(ConfigError::Inconsistent(format!(
                "the image size, {}, isn't a multiple of the patch size, {}",
                image.image_size, image.patch_size
            )));
        }
        for (tower, Transformer { width, heads, .. }) in self.transformers() {
            if !width.is_multiple_of(*heads) {
                return Err(ConfigError::Inconsistent(format!(
                    "the {tower} tower's width, {width}, isn't a multiple of its heads, {heads}"
                )));
            }
        }
        if text.context_length < 2 {
            return Err(ConfigError::Inconsistent(format!(
                "the context length is {}; start and end of text need 2",
                text.context_length
            )));
        }
        Ok(self)
    }
}
