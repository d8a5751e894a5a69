//! The configuration of an open_clip model whose file came alone: from the shapes of its tensors, and from the file's name.

use safetensors::tensor::Metadata;
use serde_json::json;

use crate::model::{Activation, ClipConfig, ImageConfig, TextConfig, Transformer};
use crate::tokenizer::EotRule;

/// What file names say of the activation, which shapes don't show: open_clip's names of models, and its tags of pretrained weights that
/// are of one activation whatever the model (mlfoundations/open_clip: src/open_clip/pretrained.py).
const ACTIVATIONS: [(&str, Activation); 9] = [
    ("quickgelu", Activation::QuickGelu),
    ("quick_gelu", Activation::QuickGelu),
    ("openai", Activation::QuickGelu),
    ("metaclip_400m", Activation::QuickGelu),
    ("metaclip_fullcc", Activation::QuickGelu),
    ("gelu", Activation::Gelu),
    ("laion2b", Activation::Gelu),
    ("datacomp", Activation::Gelu),
    ("commonpool", Activation::Gelu),
];

/// The remedies where something can't be inferred.
pub(super) const REMEDY: &str =
    "put the model's open_clip_config.json beside the file, or use the model's directory";

/// A configuration, and what of it isn't in the file.
#[derive(Debug)]
pub(super) struct Inferred {
    /// The text of open_clip_config.json.
    pub config: String,
    /// What was assumed, for a note.
    pub assumed: String,
}

/// The configuration of the weights in the file `name`. `None` if they aren't an open_clip model's, and an error if they don't tell all.
pub(super) fn infer(name: &str, header: &Metadata) -> Option<Result<Inferred, String>> {
    let is_open_clip = ["visual.conv1.weight", "token_embedding.weight", "text_projection"];
    let has = |tensor: &&str| header.info(tensor).is_some();
    is_open_clip.iter().all(has).then(|| of_open_clip(name, header))
}

fn of_open_clip(name: &str, header: &Metadata) -> Result<Inferred, String> {
    let [width, channels, patch_size, height] = shape(header, "visual.conv1.weight")?;
    let class = "visual.class_embedding";
    if channels != 3 || patch_size != height || header.info(class).is_none() {
        return Err(format!("only plain ViT image towers are supported; {REMEDY}"));
    }
    let [tokens, _] = shape(header, "visual.positional_embedding")?;
    let grid = tokens.saturating_sub(1).isqrt();
    if 1 + grid * grid != tokens {
        return Err(format!("{tokens} image tokens are no square of patches; {REMEDY}"));
    }
    let [vocab_size, text_width] = shape(header, "token_embedding.weight")?;
    let [context_length, _] = shape(header, "positional_embedding")?;
    let [_, embed_dim] = shape(header, "text_projection")?;
    let activation = activation(name)?;
    let transformer = |prefix: &str, width: usize, heads: usize| {
        let block = |layer: usize| format!("{prefix}transformer.resblocks.{layer}.mlp.c_fc.weight");
        let [mlp_width, _] = shape(header, &block(0))?;
        // A configuration has no more.
        let layers = (0..1 << 10).take_while(|layer| header.info(&block(*layer)).is_some()).count();
        let layer_norm_epsilon = 1e-5;
        let known = Transformer { width, layers, heads, mlp_width, activation, layer_norm_epsilon };
        Ok::<_, String>(known)
    };
    let head_width = head_width(width)?;
    let heads = [width / head_width, text_width / TEXT_HEAD_WIDTH];
    if !text_width.is_multiple_of(TEXT_HEAD_WIDTH) {
        return Err(format!(
            "the text tower's width, {text_width}, isn't a multiple of {TEXT_HEAD_WIDTH}, so its number of heads is unknown; {REMEDY}"
        ));
    }
    let image_size = grid * patch_size;
    let config = ClipConfig {
        embed_dim,
        image: ImageConfig {
            image_size,
            patch_size,
            transformer: transformer("visual.", width, heads[0])?,
        },
        text: TextConfig {
            context_length,
            vocab_size,
            transformer: transformer("", text_width, heads[1])?,
            eot: EotRule::Argmax,
            start_id: None,
        },
    };
    let model = config.to_open_clip().map_err(|error| error.to_string())?;
    Ok(Inferred {
        config: format!("{:#}\n", json!({ "model_cfg": model })),
        assumed: format!(
            "has no configuration; its tensors have the shapes of a ViT of {image_size} pixels and patches of {patch_size}; assumed: {} \
             and {} heads, from the widths; {}, from the file's name; CLIP's preprocessing (open_clip_config.json beside it says \
             otherwise)",
            heads[0],
            heads[1],
            activation.name()
        ),
    })
}

/// The sizes of a tensor, each at least 1 and small enough to multiply.
fn shape<const D: usize>(header: &Metadata, tensor: &str) -> Result<[usize; D], String> {
    let found = header.info(tensor).map_or(&[][..], |info| info.shape.as_slice());
    let sizes: Option<[usize; D]> = found.try_into().ok();
    let is_sound = |sizes: &[usize; D]| sizes.iter().all(|size| (1..=1 << 20).contains(size));
    sizes.filter(is_sound).ok_or_else(|| {
        format!("tensor `{tensor}` has the shape {found:?}, from which nothing follows; {REMEDY}")
    })
}

/// The width of a head of the text tower, in every model of open_clip (src/open_clip/model_configs).
const TEXT_HEAD_WIDTH: usize = 64;

/// The width of a head of open_clip's image tower: 64, and other ones in its larger models
/// (src/open_clip/model_configs/ViT-{H,g,bigG,e}-14.json).
fn head_width(width: usize) -> Result<usize, String> {
    match width {
        1280 => Ok(80),
        1408 => Ok(88),
        1664 => Ok(104),
        1792 => Ok(112),
        _ if width <= 1024 && width.is_multiple_of(64) => Ok(64),
        _ => Err(format!(
            "the image tower's width, {width}, is no model's of open_clip, so its number of heads is unknown; {REMEDY}"
        )),
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    let name = name.to_lowercase().replace('-', "_");
    let known = ACTIVATIONS.iter().find(|(tag, _)| name.contains(tag));
    known.map(|(_, activation)| *activation).ok_or_else(|| {
        format!(
            "these are an open_clip model's weights alone, and whether it has GELU or QuickGELU isn't in them; add -gelu or -quickgelu \
             to the file's name (OpenAI's models have QuickGELU), or {REMEDY}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_those_of_open_clips_names_and_tags() {
        for (name, activation) in [
            ("ViT-B-32-quickgelu.safetensors", Activation::QuickGelu),
            ("vit_b_32-quickgelu-laion400m_e32-46683a32.safetensors", Activation::QuickGelu),
            ("ViT-B-32.OpenAI.safetensors", Activation::QuickGelu),
            ("metaclip-400m.safetensors", Activation::QuickGelu),
            ("mine-gelu.safetensors", Activation::Gelu),
            ("CLIP-ViT-B-32-laion2B-s34B-b79K.safetensors", Activation::Gelu),
            ("CLIP-ViT-B-32-DataComp.XL-s13B-b90K.safetensors", Activation::Gelu),
        ] {
            assert_eq!(super::activation(name), Ok(activation), "{name}");
        }
        // Weights of laion400m have QuickGELU in ViT-B/32 and GELU in ViT-B/16.
        for name in ["open_clip_model.safetensors", "vit_b_16-laion400m_e31.safetensors"] {
            let error = activation(name).unwrap_err();
            assert!(error.contains("-quickgelu") && error.contains("open_clip_config.json"));
        }
    }

    #[test]
    fn heads_are_those_of_open_clips_models() {
        // ViT-S, M, B, B-plus, L, H, g, bigG and e: the width and the heads of each.
        for (width, heads) in [
            (384, 6),
            (512, 8),
            (768, 12),
            (896, 14),
            (1024, 16),
            (1280, 16),
            (1408, 16),
            (1664, 16),
            (1792, 16),
        ] {
            assert_eq!(head_width(width).map(|head| width / head), Ok(heads));
        }
        assert!(head_width(1152).is_err() && head_width(100).is_err());
    }
}
