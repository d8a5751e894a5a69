"""Makes tests/golden/tiny-clip: a small random CLIP in both published layouts, drawn pictures, and what PyTorch computes.

    python tests/golden/make_tiny_clip.py

Made with torch 2.15.0, open_clip_torch 3.3.0, transformers 5.23.0, safetensors 0.8, Pillow 13.0. The weights are rounded so that
f16 and bf16 hold them exactly: the Hugging Face directory is written in f16, the open_clip one in bf16, and both are the
same model. It has the exact GELU, so that it differs in that from OpenAI's.
"""

import json
from pathlib import Path

import open_clip
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

OUT = Path(__file__).parent / "tiny-clip"
EMBED, IMAGE, PATCH = 12, 32, 8
IMAGE_WIDTH, IMAGE_LAYERS, HEAD = 16, 2, 8
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS, CONTEXT = 8, 2, 2, 77
VOCABULARY = 49408
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
CAPTIONS = [
    "a red square to the left of a blue circle",
    "a blue square to the left of a red circle",
    "A green triangle, above two YELLOW bars!",
    "",
    "the horse is riding the man & the man isn't",
]


def exact(tensor):
    """Rounds to bf16 and drops what f16 can't hold, so that both types give the same numbers."""
    tensor = tensor.to(torch.bfloat16).float()
    return torch.where(tensor.abs() < 2.0**-13, torch.zeros_like(tensor), tensor)


def draw():
    pictures = []
    for name, size, shapes in [
        ("square-circle", (96, 64), [("rectangle", "red", (8, 16, 40, 48)), ("ellipse", "blue", (56, 16, 88, 48))]),
        ("circle-square", (64, 96), [("ellipse", "red", (8, 8, 40, 40)), ("rectangle", "blue", (16, 56, 48, 88))]),
        ("triangle-bars", (50, 47), [("polygon", "green", (25, 2, 5, 22, 45, 22)), ("rectangle", "yellow", (3, 28, 47, 44))]),
    ]:
        image = Image.new("RGB", size, (235, 228, 214))
        pen = ImageDraw.Draw(image)
        for shape, colour, box in shapes:
            getattr(pen, shape)(box, fill=colour)
        image.save(OUT / "images" / f"{name}.png", optimize=True)
        pictures.append((name, image))
    return pictures


def hugging_face(state, config):
    """open_clip's names and matrices in transformers' layout."""
    out = {"logit_scale": state["logit_scale"]}
    for tower, prefix, layers in [("vision", "visual.", IMAGE_LAYERS), ("text", "", TEXT_LAYERS)]:
        for layer in range(layers):
            source = f"{prefix}transformer.resblocks.{layer}."
            target = f"{tower}_model.encoder.layers.{layer}."
            for kind in ["weight", "bias"]:
                for part, rows in zip("qkv", state[source + f"attn.in_proj_{kind}"].chunk(3)):
                    out[target + f"self_attn.{part}_proj.{kind}"] = rows
                for ours, theirs in [
                    ("attn.out_proj", "self_attn.out_proj"),
                    ("ln_1", "layer_norm1"),
                    ("ln_2", "layer_norm2"),
                    ("mlp.c_fc", "mlp.fc1"),
                    ("mlp.c_proj", "mlp.fc2"),
                ]:
                    out[target + f"{theirs}.{kind}"] = state[source + f"{ours}.{kind}"]
    for ours, theirs in [
        ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
        ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        ("visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"),
        ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
        ("visual.ln_post.weight", "vision_model.post_layernorm.weight"),
        ("visual.ln_post.bias", "vision_model.post_layernorm.bias"),
        ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        ("ln_final.weight", "text_model.final_layer_norm.weight"),
        ("ln_final.bias", "text_model.final_layer_norm.bias"),
    ]:
        out[theirs] = state[ours]
    out["visual_projection.weight"] = state["visual.proj"].T
    out["text_projection.weight"] = state["text_projection"].T
    return {name: tensor.contiguous() for name, tensor in out.items()}


def main():
    torch.manual_seed(20)
    for folder in ["hf", "open_clip", "images"]:
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    model_cfg = {
        "embed_dim": EMBED,
        "vision_cfg": {
            "image_size": IMAGE,
            "layers": IMAGE_LAYERS,
            "width": IMAGE_WIDTH,
            "head_width": HEAD,
            "patch_size": PATCH,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": VOCABULARY,
            "width": TEXT_WIDTH,
            "heads": TEXT_HEADS,
            "layers": TEXT_LAYERS,
        },
    }
    clip = open_clip.CLIP(**{k: v for k, v in model_cfg.items()}).eval()
    with torch.no_grad():
        for name, parameter in clip.named_parameters():
            # Norms and biases start at 1 and 0, which would hide a swapped one.
            if parameter.ndim < 2 and name != "logit_scale":
                parameter.add_(0.2 * torch.randn_like(parameter))
            if "token_embedding" in name or "positional_embedding" in name:
                parameter.mul_(20)
            parameter.copy_(exact(parameter))
    state = {name: parameter.detach().clone() for name, parameter in clip.named_parameters()}

    save_file(
        {name: tensor.to(torch.bfloat16) for name, tensor in state.items()},
        OUT / "open_clip" / "open_clip_model.safetensors",
        metadata={"format": "pt"},
    )
    (OUT / "open_clip" / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_cfg, "preprocess_cfg": {"mean": MEAN, "std": STD}}, indent=2) + "\n"
    )

    config = CLIPConfig(
        projection_dim=EMBED,
        text_config={
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": 4 * TEXT_WIDTH,
            "num_hidden_layers": TEXT_LAYERS,
            "num_attention_heads": TEXT_HEADS,
            "max_position_embeddings": CONTEXT,
            "vocab_size": VOCABULARY,
            "hidden_act": "gelu",
            "projection_dim": EMBED,
            "eos_token_id": 49407,
            "bos_token_id": 49406,
        },
        vision_config={
            "hidden_size": IMAGE_WIDTH,
            "intermediate_size": 4 * IMAGE_WIDTH,
            "num_hidden_layers": IMAGE_LAYERS,
            "num_attention_heads": IMAGE_WIDTH // HEAD,
            "image_size": IMAGE,
            "patch_size": PATCH,
            "hidden_act": "gelu",
            "projection_dim": EMBED,
        },
    )
    transformers_clip = CLIPModel(config).eval()
    missing = transformers_clip.load_state_dict(hugging_face(state, config), strict=True)
    assert not missing.missing_keys and not missing.unexpected_keys
    transformers_clip.half().save_pretrained(OUT / "hf")
    transformers_clip.float()
    (OUT / "hf" / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "do_convert_rgb": True,
                "do_resize": True,
                "do_center_crop": True,
                "do_rescale": True,
                "do_normalize": True,
                "size": {"shortest_edge": IMAGE},
                "crop_size": {"height": IMAGE, "width": IMAGE},
                "resample": 3,
                "rescale_factor": 1 / 255,
                "image_mean": MEAN,
                "image_std": STD,
            },
            indent=2,
        )
        + "\n"
    )

    transform = open_clip.transform.image_transform(IMAGE, is_train=False, mean=MEAN, std=STD)
    pictures = draw()
    pixels = torch.stack([transform(image) for _, image in pictures])
    ids = open_clip.tokenizer.SimpleTokenizer(context_length=CONTEXT)(CAPTIONS)
    with torch.no_grad():
        image_features = clip.encode_image(pixels, normalize=True)
        text_features = clip.encode_text(ids, normalize=True)
        theirs = transformers_clip(input_ids=ids, pixel_values=pixels)
        # The same numbers through the other library, before either is written down.
        torch.testing.assert_close(theirs.image_embeds, image_features, rtol=0, atol=2e-6)
        torch.testing.assert_close(theirs.text_embeds, text_features, rtol=0, atol=2e-6)
        # What the class token goes through, for every patch.
        vision = transformers_clip.vision_model
        patches = vision.post_layernorm(theirs.vision_model_output.last_hidden_state[:, 1:])
        patches = transformers_clip.visual_projection(patches)
        patch_features = patches / patches.norm(dim=-1, keepdim=True)
        logits = clip.logit_scale.exp() * image_features @ text_features.T
    save_file(
        {
            "pixel_values": pixels,
            "input_ids": ids.to(torch.int32),
            "image_features": image_features,
            "patch_features": patch_features,
            "text_features": text_features,
            "logits_per_image": logits,
        },
        OUT / "expected.safetensors",
    )
    (OUT / "expected.json").write_text(
        json.dumps({"images": [f"{name}.png" for name, _ in pictures], "captions": CAPTIONS}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
