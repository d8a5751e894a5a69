//! The published configuration files: read into a [`ClipConfig`], and written from one.

use serde_json::{Map, Value, json};

use super::{Activation, ClipConfig, ConfigError, ImageConfig, Section, TextConfig};
use crate::tokenizer::EotRule;

impl ClipConfig {
    /// Reads the `config.json` of a Hugging Face `CLIPModel`. Absent keys take transformers' defaults
    /// (huggingface/transformers: src/transformers/models/clip/configuration_clip.py).
    ///
    /// # Errors
    /// When the file isn't JSON, isn't of a CLIP, or names something that this crate doesn't compute.
    pub fn from_hugging_face(json: &str) -> Result<Self, ConfigError> {
        let mut root: Map<String, Value> = serde_json::from_str(json)?;
        // Files of before 2023 hold the towers twice; where they differ, transformers takes these.
        for tower in ["text_config", "vision_config"] {
            if let Some(Value::Object(overrides)) = root.remove(&format!("{tower}_dict")) {
                let base = root.entry(tower).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(base) = base {
                    base.extend(overrides);
                }
            }
        }
        let root = Section { path: "", map: &root };
        match root.get("model_type") {
            Some(Value::String(kind)) if kind == "clip" => {}
            Some(value) => {
                return Err(ConfigError::Unsupported {
                    key: "model_type".into(),
                    value: value.to_string(),
                    hint: "expected \"clip\"",
                });
            }
            None => {
                return Err(ConfigError::Missing { key: "model_type".into() });
            }
        }
        let embed_dim = root.size("projection_dim", Some(512))?;
        let vision = root.section("vision_config")?;
        let text = root.section("text_config")?;
        for section in [&vision, &text] {
            if let Some(value) = section.get("projection_dim")
                && value.as_u64() != Some(embed_dim as u64)
                // Nothing reads the towers' own value in a CLIPModel, and published files leave it at its default.
                && value.as_u64() != Some(512)
            {
                return Err(ConfigError::Inconsistent(format!(
                    "`{}` is {value}, but `projection_dim` is {embed_dim}",
                    section.key("projection_dim")
                )));
            }
        }
        if vision.size("num_channels", Some(3))? != 3 {
            return Err(ConfigError::Unsupported {
                key: "vision_config.num_channels".into(),
                value: vision.size("num_channels", Some(3))?.to_string(),
                hint: "images have three channels",
            });
        }
        let config = Self {
            embed_dim,
            image: ImageConfig {
                image_size: vision.size("image_size", Some(224))?,
                patch_size: vision.size("patch_size", Some(32))?,
                width: vision.size("hidden_size", Some(768))?,
                layers: vision.layers("num_hidden_layers")?,
                heads: vision.size("num_attention_heads", Some(12))?,
                mlp_width: vision.size("intermediate_size", Some(3072))?,
                activation: hidden_act(&vision)?,
                layer_norm_epsilon: vision.real("layer_norm_eps", 1e-5)?,
            },
            text: TextConfig {
                context_length: text.size("max_position_embeddings", Some(77))?,
                vocab_size: text.size("vocab_size", Some(49_408))?,
                width: text.size("hidden_size", Some(512))?,
                layers: text.layers("num_hidden_layers")?,
                heads: text.size("num_attention_heads", Some(8))?,
                mlp_width: text.size("intermediate_size", Some(2048))?,
                activation: hidden_act(&text)?,
                layer_norm_epsilon: text.real("layer_norm_eps", 1e-5)?,
                eot: end_of_text(&text)?,
                start_id: match text.get("bos_token_id") {
                    None => None,
                    Some(value) => Some(token_id(&text, "bos_token_id", value)?),
                },
            },
        };
        config.check()?;
        Ok(config)
    }

    /// Reads the `open_clip_config.json` of open_clip (or its `model_cfg` alone). Absent keys take open_clip's defaults
    /// (mlfoundations/open_clip: src/open_clip/model.py, `CLIPVisionCfg` and `CLIPTextCfg`).
    ///
    /// # Errors
    /// When the file isn't JSON, or asks for a tower that isn't a plain ViT with a causal text transformer.
    pub fn from_open_clip(json: &str) -> Result<Self, ConfigError> {
        let root: Map<String, Value> = serde_json::from_str(json)?;
        let root = match root.get("model_cfg") {
            Some(Value::Object(map)) => Section { path: "model_cfg", map },
            _ => Section { path: "", map: &root },
        };
        root.refuse_unknown(
            &["embed_dim", "vision_cfg", "text_cfg", "quick_gelu"],
            // What training starts from, not what a loaded model computes.
            &["init_logit_scale"],
        )?;
        let vision = root.section("vision_cfg")?;
        let text = root.section("text_cfg")?;
        vision.refuse_unknown(
            &["image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"],
            &["patch_dropout"],
        )?;
        text.refuse_unknown(
            &["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"],
            &[],
        )?;
        let activation = match root.get("quick_gelu") {
            None | Some(Value::Bool(false)) => Activation::Gelu,
            Some(Value::Bool(true)) => Activation::QuickGelu,
            Some(value) => return Err(root.wrong("quick_gelu", value, "true or false")),
        };
        let width = vision.size("width", Some(768))?;
        let head_width = vision.size("head_width", Some(64))?;
        let text_width = text.size("width", Some(512))?;
        if !width.is_multiple_of(head_width) {
            return Err(ConfigError::Inconsistent(format!(
                "`vision_cfg.width` is {width}, not a multiple of `vision_cfg.head_width`, {head_width}"
            )));
        }
        let config = Self {
            embed_dim: root.size("embed_dim", None)?,
            image: ImageConfig {
                image_size: vision.size("image_size", Some(224))?,
                patch_size: vision.size("patch_size", Some(16))?,
                width,
                layers: vision.layers("layers")?,
                heads: width / head_width,
                mlp_width: mlp_width(&vision, width)?,
                activation,
                layer_norm_epsilon: 1e-5,
            },
            text: TextConfig {
                context_length: text.size("context_length", Some(77))?,
                vocab_size: text.size("vocab_size", Some(49_408))?,
                width: text_width,
                layers: text.layers("layers")?,
                heads: text.size("heads", Some(8))?,
                mlp_width: mlp_width(&text, text_width)?,
                activation,
                layer_norm_epsilon: 1e-5,
                eot: EotRule::Argmax,
                start_id: None,
            },
        };
        config.check()?;
        Ok(config)
    }

    /// The configuration as a Hugging Face `config.json`.
    #[must_use]
    pub fn to_hugging_face(&self) -> Value {
        // transformers reads 2 as "pool at the largest id", the rule of OpenAI's code. In CLIP's own vocabulary the largest id
        // is end-of-text, so there its name says the same.
        let eos = match self.text.eot {
            EotRule::Argmax if self.text.vocab_size == 49_408 => 49_407,
            EotRule::Argmax => 2,
            EotRule::FirstOf(id) => id,
        };
        let mut text = json!({
            "model_type": "clip_text_model",
            "vocab_size": self.text.vocab_size,
            "hidden_size": self.text.width,
            "intermediate_size": self.text.mlp_width,
            "projection_dim": self.embed_dim,
            "num_hidden_layers": self.text.layers,
            "num_attention_heads": self.text.heads,
            "max_position_embeddings": self.text.context_length,
            "hidden_act": self.text.activation.name(),
            "layer_norm_eps": self.text.layer_norm_epsilon,
            "eos_token_id": eos,
        });
        if let Some(start) = self.text.start_id {
            text["bos_token_id"] = json!(start);
        }
        json!({
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": self.embed_dim,
            "logit_scale_init_value": 2.6592,
            "text_config": text,
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_size": self.image.width,
                "intermediate_size": self.image.mlp_width,
                "projection_dim": self.embed_dim,
                "num_hidden_layers": self.image.layers,
                "num_attention_heads": self.image.heads,
                "num_channels": 3,
                "image_size": self.image.image_size,
                "patch_size": self.image.patch_size,
                "hidden_act": self.image.activation.name(),
                "layer_norm_eps": self.image.layer_norm_epsilon,
            },
        })
    }

    /// The configuration as open_clip's `model_cfg`.
    ///
    /// # Errors
    /// open_clip can't express towers with different activations, other epsilons than 1e-5, or pooling at a token that
    /// isn't the largest id.
    pub fn to_open_clip(&self) -> Result<Value, ConfigError> {
        let (image, text) = (&self.image, &self.text);
        if image.activation != text.activation {
            return Err(ConfigError::Inconsistent(format!(
                "open_clip has one activation for both towers, this model has {} for images and {} for texts",
                image.activation.name(),
                text.activation.name()
            )));
        }
        for (tower, epsilon) in
            [("image", image.layer_norm_epsilon), ("text", text.layer_norm_epsilon)]
        {
            if (epsilon - 1e-5).abs() > 1e-12 {
                return Err(ConfigError::Inconsistent(format!(
                    "open_clip's layer norms have epsilon 1e-5, this model's {tower} tower has {epsilon:e}"
                )));
            }
        }
        if let EotRule::FirstOf(id) = text.eot
            && id as usize + 1 != text.vocab_size
        {
            return Err(ConfigError::Inconsistent(format!(
                "open_clip pools at the largest token id, {}, this model at {id}",
                text.vocab_size - 1
            )));
        }
        let ratio = |hidden: usize, width: usize| hidden as f64 / width as f64;
        let mut model = json!({
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": image.image_size,
                "layers": image.layers,
                "width": image.width,
                "head_width": image.width / image.heads,
                "patch_size": image.patch_size,
            },
            "text_cfg": {
                "context_length": text.context_length,
                "vocab_size": text.vocab_size,
                "width": text.width,
                "heads": text.heads,
                "layers": text.layers,
            },
        });
        if image.activation == Activation::QuickGelu {
            model["quick_gelu"] = json!(true);
        }
        for (section, hidden, width) in
            [("vision_cfg", image.mlp_width, image.width), ("text_cfg", text.mlp_width, text.width)]
        {
            if hidden != 4 * width {
                model[section]["mlp_ratio"] = json!(ratio(hidden, width));
            }
        }
        Ok(model)
    }
}

fn hidden_act(section: &Section) -> Result<Activation, ConfigError> {
    match section.get("hidden_act") {
        None => Ok(Activation::QuickGelu),
        Some(Value::String(name)) if name == "quick_gelu" => Ok(Activation::QuickGelu),
        Some(Value::String(name)) if name == "gelu" => Ok(Activation::Gelu),
        Some(value) => Err(ConfigError::Unsupported {
            key: section.key("hidden_act"),
            value: value.to_string(),
            hint: "\"quick_gelu\" and \"gelu\" are supported",
        }),
    }
}

fn token_id(section: &Section, name: &str, value: &Value) -> Result<u32, ConfigError> {
    value
        .as_u64()
        .and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| section.wrong(name, value, "a token id"))
}

/// transformers' rule (modeling_clip.py, `CLIPTextTransformer.forward`): 2, which older files hold by mistake, means "the
/// largest id"; any other id means its first place.
fn end_of_text(section: &Section) -> Result<EotRule, ConfigError> {
    match section.get("eos_token_id") {
        None => Ok(EotRule::FirstOf(49_407)),
        Some(value) => match token_id(section, "eos_token_id", value)? {
            2 => Ok(EotRule::Argmax),
            id => Ok(EotRule::FirstOf(id)),
        },
    }
}

fn mlp_width(section: &Section, width: usize) -> Result<usize, ConfigError> {
    let ratio = section.real("mlp_ratio", 4.0)?;
    if ratio > 64.0 {
        return Err(ConfigError::Value {
            key: section.key("mlp_ratio"),
            value: ratio.to_string(),
            expected: "at most 64",
        });
    }
    // open_clip truncates: int(width * mlp_ratio).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number far below 2^53, truncated on purpose"
    )]
    Ok((width as f64 * ratio) as usize)
}
