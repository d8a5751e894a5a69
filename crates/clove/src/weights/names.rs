//! Which published tensors hold which parameter.
//!
//! Sources: huggingface/transformers: src/transformers/models/clip/modeling_clip.py; mlfoundations/open_clip:
//! src/open_clip/{model,transformer}.py.

use crate::model::ClipConfig;

/// Who names the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// transformers' `CLIPModel`.
    HuggingFace,
    /// open_clip's `CLIP`.
    OpenClip,
}

/// How a layout stores one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// One tensor of the same shape (a scalar for the logit scale).
    Whole(String),
    /// One matrix, the other way round.
    Transposed(String),
    /// Equal shares of the rows, one tensor each, in order.
    Rows([String; 3]),
}

impl Stored {
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::Whole(name) | Self::Transposed(name) => std::slice::from_ref(name),
            Self::Rows(names) => names,
        }
    }

    /// The shape of each of its tensors, where the parameter has `shape`.
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

const LOGIT_SCALE: &str = "logit_scale";

impl Layout {
    /// How this layout stores `parameter`, one of [`parameters`].
    pub(crate) fn stored(self, parameter: &str) -> Stored {
        match self {
            Self::HuggingFace => hugging_face(parameter),
            Self::OpenClip => open_clip(parameter),
        }
    }

    /// Tensors that some files hold beside the parameters: position numbers, a constant of the code that once was saved.
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
#[must_use]
pub fn parameters(config: &ClipConfig) -> Vec<(String, Vec<usize>)> {
    let (image, text) = (&config.image, &config.text);
    let patch = image.patch_size;
    let mut list: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| list.push((name, shape.to_vec()));

    add("image.patch_embedding".into(), &[image.width, 3, patch, patch]);
    add("image.class_embedding".into(), &[image.width]);
    add("image.position_embedding".into(), &[image.tokens(), image.width]);
    add_norm(&mut add, "image.pre_norm", image.width);
    add_blocks(&mut add, "image", image.layers, image.width, image.mlp_width);
    add_norm(&mut add, "image.post_norm", image.width);
    add("image.projection".into(), &[config.embed_dim, image.width]);

    add("text.token_embedding".into(), &[text.vocab_size, text.width]);
    add("text.position_embedding".into(), &[text.context_length, text.width]);
    add_blocks(&mut add, "text", text.layers, text.width, text.mlp_width);
    add_norm(&mut add, "text.final_norm", text.width);
    add("text.projection".into(), &[config.embed_dim, text.width]);
    add(LOGIT_SCALE.into(), &[1]);
    list
}

fn add_norm(add: &mut impl FnMut(String, &[usize]), path: &str, width: usize) {
    add(format!("{path}.weight"), &[width]);
    add(format!("{path}.bias"), &[width]);
}

fn add_blocks(
    add: &mut impl FnMut(String, &[usize]),
    tower: &str,
    layers: usize,
    width: usize,
    hidden: usize,
) {
    for layer in 0..layers {
        let block = format!("{tower}.blocks.{layer}");
        add_norm(add, &format!("{block}.norm_1"), width);
        for (linear, rows, columns) in
            [("attention.qkv", 3 * width, width), ("attention.out", width, width)]
        {
            add(format!("{block}.{linear}.weight"), &[rows, columns]);
            add(format!("{block}.{linear}.bias"), &[rows]);
        }
        add_norm(add, &format!("{block}.norm_2"), width);
        for (linear, rows, columns) in [("mlp.up", hidden, width), ("mlp.down", width, hidden)] {
            add(format!("{block}.{linear}.weight"), &[rows, columns]);
            add(format!("{block}.{linear}.bias"), &[rows]);
        }
    }
}

/// `image.blocks.3.mlp.up.weight` is tower `image`, layer `3`, rest `mlp.up.weight`.
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
            // The missing letter is transformers' own.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_names_follow_each_layout() {
        assert_eq!(
            hugging_face("image.blocks.11.attention.qkv.bias").names()[1],
            "vision_model.encoder.layers.11.self_attn.k_proj.bias"
        );
        assert_eq!(
            open_clip("text.blocks.0.attention.qkv.weight").names()[0],
            "transformer.resblocks.0.attn.in_proj_weight"
        );
        assert_eq!(
            hugging_face("text.blocks.2.norm_2.weight").names()[0],
            "text_model.encoder.layers.2.layer_norm2.weight"
        );
    }
}
