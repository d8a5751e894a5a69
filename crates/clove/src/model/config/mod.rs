//! A model's shape, read from the published configuration files and written back to them.

mod formats;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::tokenizer::EotRule;

/// The non-linearity of the perceptrons. Weights trained with one give poor features with the other, in silence, so it's
/// always read from the configuration and never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Gaussian error linear unit, exact (`gelu`).
    Gelu,
    /// `x * sigmoid(1.702 x)` (`quick_gelu`): OpenAI's weights and their descendants.
    QuickGelu,
}

impl Activation {
    /// The name that Hugging Face's `hidden_act` uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick_gelu",
        }
    }
}

/// The shape of the image tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// Width and height of the pixels that it takes.
    pub image_size: usize,
    /// Width and height of a patch.
    pub patch_size: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads in each block.
    pub heads: usize,
    /// Width inside the perceptron.
    pub mlp_width: usize,
    /// Of the perceptron.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub layer_norm_epsilon: f64,
}

impl ImageConfig {
    /// Tokens in an image: the class token and the patches.
    #[must_use]
    pub fn tokens(&self) -> usize {
        1 + (self.image_size / self.patch_size).pow(2)
    }
}

/// The shape of the text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// The most tokens that a text can have, start and end included.
    pub context_length: usize,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads in each block.
    pub heads: usize,
    /// Width inside the perceptron.
    pub mlp_width: usize,
    /// Of the perceptron.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub layer_norm_epsilon: f64,
    /// Which token is pooled.
    pub eot: EotRule,
    /// The id of start-of-text that the configuration names, where it names one.
    pub start_id: Option<u32>,
}

/// The shape of a CLIP.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Width of the space that both towers share.
    pub embed_dim: usize,
    /// The image tower.
    pub image: ImageConfig,
    /// The text tower.
    pub text: TextConfig,
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file isn't JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A key that the model needs is absent.
    #[error("`{key}` is missing")]
    Missing {
        /// Its path in the file.
        key: String,
    },
    /// A key has a value that isn't of its type, or out of range.
    #[error("`{key}` is {value}, expected {expected}")]
    Value {
        /// Its path in the file.
        key: String,
        /// What the file says.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The file asks for an architecture that this crate doesn't have.
    #[error("`{key}` is {value}, which this program doesn't support ({hint})")]
    Unsupported {
        /// Its path in the file.
        key: String,
        /// What the file says.
        value: String,
        /// What is supported.
        hint: &'static str,
    },
    /// Two values contradict each other.
    #[error("{0}")]
    Inconsistent(String),
}

/// One object of a configuration, with its path for messages.
struct Section<'a> {
    path: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str, default: Option<usize>) -> Result<usize, ConfigError> {
        // Above any CLIP, and low enough that no tensor's number of elements overflows.
        self.number(name, default, 1 << 20, "a whole number from 1 to 1048576")
    }

    fn layers(&self, name: &str) -> Result<usize, ConfigError> {
        // Each layer has a dozen names, which are listed before any weight is read.
        self.number(name, Some(12), 1 << 10, "a whole number from 1 to 1024")
    }

    fn number(
        &self,
        name: &str,
        default: Option<usize>,
        largest: u64,
        expected: &'static str,
    ) -> Result<usize, ConfigError> {
        let Some(value) = self.get(name) else {
            return default.ok_or_else(|| ConfigError::Missing { key: self.key(name) });
        };
        value
            .as_u64()
            .filter(|size| (1..=largest).contains(size))
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| self.wrong(name, value, expected))
    }

    fn real(&self, name: &str, default: f64) -> Result<f64, ConfigError> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| self.wrong(name, value, "a positive number"))
    }

    fn section(&self, name: &'static str) -> Result<Section<'a>, ConfigError> {
        match self.get(name) {
            Some(Value::Object(map)) => Ok(Section { path: name, map }),
            Some(value) => Err(self.wrong(name, value, "an object")),
            None => Err(ConfigError::Missing { key: self.key(name) }),
        }
    }

    fn wrong(&self, name: &str, value: &Value, expected: &'static str) -> ConfigError {
        ConfigError::Value { key: self.key(name), value: value.to_string(), expected }
    }

    /// Refuses every key that isn't among `known`, unless it's null, false, or one of `inert` (which change nothing that
    /// a forward pass without dropout computes).
    fn refuse_unknown(&self, known: &[&str], inert: &[&str]) -> Result<(), ConfigError> {
        for (name, value) in self.map {
            let off = value.is_null() || *value == Value::Bool(false);
            if !off && !known.contains(&name.as_str()) && !inert.contains(&name.as_str()) {
                return Err(ConfigError::Unsupported {
                    key: self.key(name),
                    value: value.to_string(),
                    hint: "this key changes the architecture; plain ViT towers are supported",
                });
            }
        }
        Ok(())
    }
}

impl ClipConfig {
    /// The number of parameters, logit scale included.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let blocks = |layers: usize, width: usize, hidden: usize| {
            layers
                * (4 * width * width + 4 * width + 2 * width * hidden + hidden + width + 4 * width)
        };
        let (image, text) = (&self.image, &self.text);
        image.width * 3 * image.patch_size.pow(2)
            + image.width
            + image.tokens() * image.width
            + 4 * image.width
            + blocks(image.layers, image.width, image.mlp_width)
            + self.embed_dim * image.width
            + (text.vocab_size + text.context_length) * text.width
            + 2 * text.width
            + blocks(text.layers, text.width, text.mlp_width)
            + self.embed_dim * text.width
            + 1
    }

    /// What both formats could contradict themselves in.
    fn check(&self) -> Result<(), ConfigError> {
        let (image, text) = (&self.image, &self.text);
        if !image.image_size.is_multiple_of(image.patch_size) {
            return Err(ConfigError::Inconsistent(format!(
                "the image size, {}, isn't a multiple of the patch size, {}",
                image.image_size, image.patch_size
            )));
        }
        for (tower, width, heads) in
            [("image", image.width, image.heads), ("text", text.width, text.heads)]
        {
            if !width.is_multiple_of(heads) {
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
        Ok(())
    }
}
