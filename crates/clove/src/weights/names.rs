//! Which published tensors hold which parameter.
//!
//! Sources: huggingface/transformers: src/transformers/models/clip/modeling_clip.py; mlfoundations/open_clip:
//! src/open_clip/{model,transformer}.py.

use safetensors::Dtype;

use crate::model::{ClipConfig, Transformer};

/// The naming scheme of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// transformers' `CLIPModel`.
    HuggingFace,
    /// open_clip's `CLIP`.
    OpenClip,
}

/// A tensor of a file: name, element type, shape.
pub(crate) type Entry = (String, Dtype, Vec<usize>);

/// How a layout stores one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// One tensor of the same shape (a scalar for the logit scale).
    Whole(String),
    /// One matrix, transposed.
    Transposed(String),
    /// One tensor for each third of the rows, in order.
    Rows([String; 3]),
}

impl Stored {
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::Whole(name) | Self::Transposed(name) => std::slice::from_ref(name),
            Self::Rows(names) => names,
        }
    }

    /// The shape of each of its tensors, for a parameter of `shape`.
    pub(crate) fn shape(&self, shape: &[usize]) -> Vec<usize> {
        match self {
            // The published logit scale is a scalar, burn's smallest parameter a vector of one.
            Self::Whole(name) if name == LOGIT_SCALE => Vec::new(),
            Self::Whole(_) => shape.to_vec(),
            Self::Transposed(_) => shape.iter().rev().copied().collect(),
            Self::Rows(_) => {
                let mut shape = shape.to_vec();
                shape[0] /= 3;
                shape
            }
        }
    }
}

pub(super) const LOGIT_SCALE: &str = "logit_scale";

/// The one parameter whose shape depends on the context length.
pub(crate) const TEXT_POSITIONS: &str = "text.position_embedding";

impl Layout {
    /// How this layout stores `parameter`, one of [`parameters`].
    pub(crate) fn stored(self, parameter: &str) -> Stored {
        match self {
            Self::HuggingFace => hugging_face(parameter),
            Self::OpenClip => open_clip(parameter),
        }
    }

    pub(crate) fn config_file(self) -> &'static str {
        match self {
            Self::HuggingFace => "config.json",
            Self::OpenClip => "open_clip_config.json",
        }
    }

    /// The file of the weights. An index of shards has `.index.json` at the end.
    pub(crate) fn weights_file(self) -> &'static str {
        match self {
            Self::HuggingFace => "model.safetensors",
            Self::OpenClip => "open_clip_model.safetensors",
        }
    }

    /// The tensors of a model, in the order of its parameters, each of the element type that `dtype` gives for its parameter.
    pub(super) fn tensors(self, config: &ClipConfig, dtype: impl Fn(&str) -> Dtype) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (parameter, shape) in parameters(config) {
            let (stored, dtype) = (self.stored(&parameter), dtype(&parameter));
            let names = stored.names().iter();
            entries.extend(names.map(|name| (name.clone(), dtype, stored.shape(&shape))));
        }
        entries
    }

    /// Whether a tensor is a constant that some files hold beside the parameters.
    pub(crate) fn is_buffer(self, name: &str) -> bool {
        match self {
            Self::HuggingFace => matches!(
                name,
                "text_model.embeddings.position_ids" | "vision_model.embeddings.position_ids"
            ),
            Self::OpenClip => {
                matches!(name, "attn_mask" | "input_resolution" | "context_length" | "vocab_size")
            }
        }
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HuggingFace => "Hugging Face",
            Self::OpenClip => "open_clip",
        })
    }
}

/// Every parameter of a model with its shape: the paths of [`crate::model::Clip`]'s fields, in their order.
pub fn parameters(config: &ClipConfig) -> Vec<(String, Vec<usize>)> {
    let (image, text) = (&config.image, &config.text);
    let (patch, width) = (image.patch_size, image.transformer.width);
    let mut list: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: &str, shape: &[usize]| list.push((name.to_owned(), shape.to_vec()));

    add("image.patch_embedding", &[width, 3, patch, patch]);
    add("image.class_embedding", &[width]);
    add("image.position_embedding", &[image.tokens(), width]);
    add_affine(&mut add, "image.pre_norm", &[width]);
    add_blocks(&mut add, "image", &image.transformer);
    add_affine(&mut add, "image.post_norm", &[width]);
    add("image.projection", &[config.embed_dim, width]);

    let width = text.transformer.width;
    add("text.token_embedding", &[text.vocab_size, width]);
    add(TEXT_POSITIONS, &[text.context_length, width]);
    add_blocks(&mut add, "text", &text.transformer);
    add_affine(&mut add, "text.final_norm", &[width]);
    add("text.projection", &[config.embed_dim, width]);
    add(LOGIT_SCALE, &[1]);
    list
}

/// Adds a weight of `shape`, and a bias as long as its first dimension.
fn add_affine(add: &mut impl FnMut(&str, &[usize]), path: &str, shape: &[usize]) {
    add(&format!("{path}.weight"), shape);
    add(&format!("{path}.bias"), &shape[..1]);
}

fn add_blocks(add: &mut impl FnMut(&str, &[usize]), tower: &str, transformer: &Transformer) {
    let (width, hidden) = (transformer.width, transformer.mlp_width);
    let parts: [(&str, &[usize]); 6] = [
        ("norm_1", &[width]),
        ("attention.qkv", &[3 * width, width]),
        ("attention.out", &[width, width]),
        ("norm_2", &[width]),
        ("mlp.up", &[hidden, width]),
        ("mlp.down", &[width, hidden]),
    ];
    for layer in 0..transformer.layers {
        for (name, shape) in parts {
            add_affine(add, &format!("{tower}.blocks.{layer}.{name}"), shape);
        }
    }
}

/// Splits `image.blocks.3.mlp.up.weight` into tower `image`, layer `3` and rest `mlp.up.weight`.
fn in_block(parameter: &str) -> Option<(&str, &str, &str)> {
    let (tower, rest) = parameter.split_once(".blocks.")?;
    let (layer, rest) = rest.split_once('.')?;
    Some((tower, layer, rest))
}

fn hugging_face(parameter: &str) -> Stored {
    if let Some((tower, layer, rest)) = in_block(parameter) {
        let tower = if tower == "image" { "vision" } else { tower };
        let block = format!("{tower}_model.encoder.layers.{layer}");
        if let Some(leaf) = rest.strip_prefix("attention.qkv.") {
            return Stored::Rows(
                ["q", "k", "v"].map(|part| format!("{block}.self_attn.{part}_proj.{leaf}")),
            );
        }
        let rest = rest
            .replace("attention.out.", "self_attn.out_proj.")
            .replace("mlp.up.", "mlp.fc1.")
            .replace("mlp.down.", "mlp.fc2.")
            .replace("norm_", "layer_norm");
        return Stored::Whole(format!("{block}.{rest}"));
    }
    Stored::Whole(match parameter {
        "image.patch_embedding" => "vision_model.embeddings.patch_embedding.weight".into(),
        "image.class_embedding" => "vision_model.embeddings.class_embedding".into(),
        "image.position_embedding" => "vision_model.embeddings.position_embedding.weight".into(),
        "image.projection" => "visual_projection.weight".into(),
        "text.token_embedding" => "text_model.embeddings.token_embedding.weight".into(),
        "text.position_embedding" => "text_model.embeddings.position_embedding.weight".into(),
        "text.projection" => "text_projection.weight".into(),
        other => other
            // transformers' own spelling.
            .replace("image.pre_norm.", "vision_model.pre_layrnorm.")
            .replace("image.post_norm.", "vision_model.post_layernorm.")
            .replace("text.final_norm.", "text_model.final_layer_norm."),
    })
}

fn open_clip(parameter: &str) -> Stored {
    if let Some((tower, layer, rest)) = in_block(parameter) {
        let prefix = if tower == "image" { "visual." } else { "" };
        let rest = rest
            .replace("attention.qkv.", "attn.in_proj_")
            .replace("attention.out.", "attn.out_proj.")
            .replace("mlp.up.", "mlp.c_fc.")
            .replace("mlp.down.", "mlp.c_proj.")
            .replace("norm_", "ln_");
        return Stored::Whole(format!("{prefix}transformer.resblocks.{layer}.{rest}"));
    }
    Stored::Whole(match parameter {
        "image.projection" => return Stored::Transposed("visual.proj".into()),
        "text.projection" => return Stored::Transposed("text_projection".into()),
        "image.patch_embedding" => "visual.conv1.weight".into(),
        "image.class_embedding" => "visual.class_embedding".into(),
        "image.position_embedding" => "visual.positional_embedding".into(),
        "text.token_embedding" => "token_embedding.weight".into(),
        "text.position_embedding" => "positional_embedding".into(),
        other => other
            .replace("image.pre_norm.", "visual.ln_pre.")
            .replace("image.post_norm.", "visual.ln_post.")
            .replace("text.final_norm.", "ln_final."),
    })
}
