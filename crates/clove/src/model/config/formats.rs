//! The published configuration files: read into a [`ClipConfig`], and written from one.

use serde_json::{Map, Value, json};

use super::{Activation, ClipConfig, ConfigError, ImageConfig, TextConfig, Transformer};
use crate::config::{Section, parse};
use crate::tokenizer::EotRule;

impl ClipConfig {
    /// Reads the `config.json` of a Hugging Face `CLIPModel`. Missing keys take transformers' defaults
    /// (huggingface/transformers: src/transformers/models/clip/configuration_clip.py).
    ///
    /// # Errors
    /// When the file isn't JSON, isn't of a CLIP, or asks for something that isn't supported.
    pub fn from_hugging_face(json: &str) -> Result<Self, ConfigError> {
        let mut root = parse(json)?;
        // Files from before 2023 hold the towers twice; where they differ, transformers takes these.
        for tower in ["text_config", "vision_config"] {
            if let Some(Value::Object(overrides)) = root.remove(&format!("{tower}_dict")) {
                let base = root.entry(tower).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(base) = base {
                    base.extend(overrides);
                }
            }
        }
        let root = Section::new(&root);
        let is_clip = |kind: &Value| (kind == "clip").then_some(());
        if root.read("model_type", "only \"clip\" is supported", is_clip)?.is_none() {
            return Err(ConfigError::Missing("model_type".into()));
        }
        let embed_dim = size(&root, "projection_dim", Some(512))?;
        let vision = root.required("vision_config")?;
        let text = root.required("text_config")?;
        // The towers' own projection_dim isn't read, as in transformers' CLIPModel (modeling_clip.py, `CLIPModel.__init__`).
        if size(&vision, "num_channels", Some(3))? != 3 {
            return Err(vision.error("num_channels", "only images with 3 channels are supported"));
        }
        Self {
            embed_dim,
            image: ImageConfig {
                image_size: side(&vision, "image_size", 224)?,
                patch_size: side(&vision, "patch_size", 32)?,
                transformer: hugging_face_transformer(&vision, [768, 12, 3072])?,
            },
            text: TextConfig {
                context_length: size(&text, "max_position_embeddings", Some(77))?,
                vocab_size: size(&text, "vocab_size", Some(49_408))?,
                transformer: hugging_face_transformer(&text, [512, 8, 2048])?,
                eot: token_id(&text, "eos_token_id")?
                    .map_or(EotRule::FirstOf(49_407), EotRule::from_eos_token_id),
                start_id: token_id(&text, "bos_token_id")?,
            },
        }
        .check()
    }

    /// Reads the `open_clip_config.json` of open_clip (or its `model_cfg` alone). Missing keys take open_clip's defaults
    /// (mlfoundations/open_clip: src/open_clip/model.py, `CLIPVisionCfg` and `CLIPTextCfg`). A key that isn't supported may have its
    /// default.
    ///
    /// # Errors
    /// When the file isn't JSON, or asks for a tower that isn't a plain ViT with a causal text transformer.
    pub fn from_open_clip(json: &str) -> Result<Self, ConfigError> {
        let file = parse(json)?;
        let file = Section::new(&file);
        let root = match file.get("model_cfg") {
            Some(Value::Object(_)) => file.section("model_cfg")?,
            _ => file,
        };
        let (vision, text) = (root.required("vision_cfg")?, root.required("text_cfg")?);
        if vision.get("layers").is_some_and(Value::is_array) {
            let wanted = "a list of layers means a ResNet, such as RN50; only ViT image towers are supported";
            return Err(vision.error("layers", wanted));
        }
        // The initial logit scale and patch dropout matter in training only.
        let known = ["embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale"];
        root.refuse_unknown(&known, &[])?;
        vision.refuse_unknown(
            &[
                "image_size",
                "layers",
                "width",
                "head_width",
                "mlp_ratio",
                "patch_size",
                "patch_dropout",
            ],
            &[
                ("attn_pooler_heads", json!(8)),
                ("attn_pooler_queries", json!(256)),
                ("n_queries", json!(256)),
                ("pool_type", json!("tok")),
                ("pos_embed_type", json!("learnable")),
                ("timm_drop", json!(0)),
                ("timm_pool", json!("avg")),
                ("timm_proj", json!("linear")),
            ],
        )?;
        text.refuse_unknown(
            &["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"],
            &[
                ("eos_id", json!(2)),
                ("hf_model_pretrained", json!(true)),
                ("hf_pooler_type", json!("mean_pooler")),
                ("hf_proj_type", json!("mlp")),
                ("pad_id", json!(0)),
                ("pool_type", json!("argmax")),
                ("pooler_type", json!("mean_pooler")),
                ("proj", json!("mlp")),
                ("proj_type", json!("linear")),
            ],
        )?;
        let activation =
            if root.flag("quick_gelu", false)? { Activation::QuickGelu } else { Activation::Gelu };
        let transformer = |section: &Section, width, heads| {
            Ok::<_, ConfigError>(Transformer {
                width,
                layers: layers(section, "layers")?,
                heads,
                mlp_width: mlp_width(section, width)?,
                activation,
                layer_norm_epsilon: 1e-5,
            })
        };
        let width = size(&vision, "width", Some(768))?;
        let head_width = size(&vision, "head_width", Some(64))?;
        if !width.is_multiple_of(head_width) {
            return Err(ConfigError::Inconsistent(format!(
                "vision_cfg.width is {width}, not a multiple of vision_cfg.head_width, {head_width}"
            )));
        }
        let text_width = size(&text, "width", Some(512))?;
        Self {
            embed_dim: size(&root, "embed_dim", None)?,
            image: ImageConfig {
                image_size: side(&vision, "image_size", 224)?,
                patch_size: side(&vision, "patch_size", 16)?,
                transformer: transformer(&vision, width, width / head_width)?,
            },
            text: TextConfig {
                context_length: size(&text, "context_length", Some(77))?,
                vocab_size: size(&text, "vocab_size", Some(49_408))?,
                transformer: transformer(&text, text_width, size(&text, "heads", Some(8))?)?,
                eot: EotRule::Argmax,
                start_id: None,
            },
        }
        .check()
    }

    /// The configuration as a Hugging Face `config.json`.
    pub fn to_hugging_face(&self) -> Value {
        // transformers reads 2 as OpenAI's rule, the largest id. In CLIP's own vocabulary that is end-of-text.
        let eos = match self.text.eot {
            EotRule::Argmax if self.text.vocab_size == 49_408 => 49_407,
            EotRule::Argmax => 2,
            EotRule::FirstOf(id) => id,
        };
        let tower = |model_type: &str, transformer: &Transformer| {
            json!({
                "model_type": model_type,
                "hidden_size": transformer.width,
                "intermediate_size": transformer.mlp_width,
                "projection_dim": self.embed_dim,
                "num_hidden_layers": transformer.layers,
                "num_attention_heads": transformer.heads,
                "hidden_act": transformer.activation.name(),
                "layer_norm_eps": transformer.layer_norm_epsilon,
            })
        };
        let mut text = tower("clip_text_model", &self.text.transformer);
        text["vocab_size"] = json!(self.text.vocab_size);
        text["max_position_embeddings"] = json!(self.text.context_length);
        text["eos_token_id"] = json!(eos);
        if let Some(start) = self.text.start_id {
            text["bos_token_id"] = json!(start);
        }
        let mut vision = tower("clip_vision_model", &self.image.transformer);
        vision["num_channels"] = json!(3);
        vision["image_size"] = json!(self.image.image_size);
        vision["patch_size"] = json!(self.image.patch_size);
        json!({
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": self.embed_dim,
            "logit_scale_init_value": 2.6592,
            "text_config": text,
            "vision_config": vision,
        })
    }

    /// The configuration as open_clip's `model_cfg`.
    ///
    /// # Errors
    /// open_clip can't express towers with different activations, other epsilons than 1e-5, or pooling at another token than the largest.
    pub fn to_open_clip(&self) -> Result<Value, ConfigError> {
        let (image, text) = (&self.image.transformer, &self.text.transformer);
        if image.activation != text.activation {
            return Err(ConfigError::Inconsistent(format!(
                "open_clip has one activation for both towers, this model has {} for images and {} for texts",
                image.activation.name(),
                text.activation.name()
            )));
        }
        for (tower, Transformer { layer_norm_epsilon: epsilon, .. }) in self.transformers() {
            if (epsilon - 1e-5).abs() > 1e-12 {
                return Err(ConfigError::Inconsistent(format!(
                    "open_clip's layer norms have epsilon 1e-5, this model's {tower} tower has {epsilon:e}"
                )));
            }
        }
        if let EotRule::FirstOf(id) = self.text.eot
            && id as usize + 1 != self.text.vocab_size
        {
            return Err(ConfigError::Inconsistent(format!(
                "open_clip pools at the largest token id, {}, this model at {id}",
                self.text.vocab_size - 1
            )));
        }
        let mut model = json!({
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": self.image.image_size,
                "layers": image.layers,
                "width": image.width,
                "head_width": image.width / image.heads,
                "patch_size": self.image.patch_size,
            },
            "text_cfg": {
                "context_length": self.text.context_length,
                "vocab_size": self.text.vocab_size,
                "width": text.width,
                "heads": text.heads,
                "layers": text.layers,
            },
        });
        if image.activation == Activation::QuickGelu {
            model["quick_gelu"] = json!(true);
        }
        for (section, tower) in [("vision_cfg", image), ("text_cfg", text)] {
            if tower.mlp_width != 4 * tower.width {
                model[section]["mlp_ratio"] = json!(mlp_ratio(tower));
            }
        }
        Ok(model)
    }
}

/// The transformer of a Hugging Face tower, with the defaults of its width, heads and perceptron's width.
fn hugging_face_transformer(
    section: &Section,
    [width, heads, mlp_width]: [usize; 3],
) -> Result<Transformer, ConfigError> {
    let activation = |name: &Value| match name.as_str()? {
        "quick_gelu" => Some(Activation::QuickGelu),
        "gelu" => Some(Activation::Gelu),
        _ => None,
    };
    let wanted = "only \"quick_gelu\" and \"gelu\" are supported";
    Ok(Transformer {
        width: size(section, "hidden_size", Some(width))?,
        layers: layers(section, "num_hidden_layers")?,
        heads: size(section, "num_attention_heads", Some(heads))?,
        mlp_width: size(section, "intermediate_size", Some(mlp_width))?,
        activation: section
            .read("hidden_act", wanted, activation)?
            .unwrap_or(Activation::QuickGelu),
        layer_norm_epsilon: positive(section, "layer_norm_eps", 1e-5)?,
    })
}

/// Above any CLIP, and low enough that no tensor's number of elements overflows.
const LARGEST: u64 = 1 << 20;

fn size(section: &Section, key: &str, default: Option<usize>) -> Result<usize, ConfigError> {
    let read = |value: &Value| number(value, LARGEST);
    let found = section.read(key, "use a whole number from 1 to 1048576", read)?;
    found.or(default).ok_or_else(|| ConfigError::Missing(section.key(key)))
}

/// A number, or two that are equal: height and width.
fn side(section: &Section, key: &str, default: usize) -> Result<usize, ConfigError> {
    let read = |value: &Value| match value.as_array().map(Vec::as_slice) {
        None => number(value, LARGEST),
        Some([height, width]) if height == width => number(height, LARGEST),
        Some(_) => None,
    };
    let wanted = "use a whole number from 1 to 1048576, or two that are equal";
    Ok(section.read(key, wanted, read)?.unwrap_or(default))
}

fn layers(section: &Section, key: &str) -> Result<usize, ConfigError> {
    // Each layer has a dozen names, which are listed before any weight is read.
    let read = |value: &Value| number(value, 1 << 10);
    Ok(section.read(key, "use a whole number from 1 to 1024", read)?.unwrap_or(12))
}

fn number(value: &Value, largest: u64) -> Option<usize> {
    value.as_u64().filter(|number| (1..=largest).contains(number))?.try_into().ok()
}

fn positive(section: &Section, key: &str, default: f64) -> Result<f64, ConfigError> {
    let read = |value: &Value| value.as_f64().filter(|real| real.is_finite() && *real > 0.0);
    Ok(section.read(key, "use a positive number", read)?.unwrap_or(default))
}

fn token_id(section: &Section, key: &str) -> Result<Option<u32>, ConfigError> {
    section.read(key, "use a token id", |value| value.as_u64()?.try_into().ok())
}

fn mlp_width(section: &Section, width: usize) -> Result<usize, ConfigError> {
    let ratio = positive(section, "mlp_ratio", 4.0)?;
    if ratio > 64.0 {
        return Err(section.error("mlp_ratio", "use at most 64"));
    }
    // open_clip truncates: int(width * mlp_ratio).
    Ok((width as f64 * ratio) as usize)
}

/// The ratio that [`mlp_width`] reads back.
fn mlp_ratio(tower: &Transformer) -> f64 {
    let (width, wanted) = (tower.width as f64, tower.mlp_width as f64);
    let ratio = wanted / width;
    // Rounding down by the last bit would lose one.
    if width * ratio < wanted { ratio.next_up() } else { ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perceptrons_width_survives_open_clips_ratio() {
        // As quotients they are a little too small.
        for (width, mlp_width) in [(47, 48), (39, 124), (46, 185), (768, 3072), (1408, 6144)] {
            let (layers, heads, activation) = (1, 1, Activation::Gelu);
            let layer_norm_epsilon = 1e-5;
            let tower =
                Transformer { width, layers, heads, mlp_width, activation, layer_norm_epsilon };
            let keys = json!({ "mlp_ratio": mlp_ratio(&tower) });
            let keys = keys.as_object().unwrap();
            assert_eq!(super::mlp_width(&Section::new(keys), width).unwrap(), mlp_width);
        }
    }
}
