"""Writes CLIP ViT-B/32's two towers with random weights as ONNX, for onnx.mjs to time: how long
a run takes depends on their shapes, not on what they learned. Run as

    python tests/browser/bench/make_onnx.py FOLDER

It writes FOLDER/vision.onnx, from pixels `x` to the embedding `y`, for any batch, and
FOLDER/text.onnx, from ids `x` to the embedding `y`, for any batch and any length up to 77. Made with
Python 3.11, torch 2.15.0, transformers 5.23.0, onnx 1.23.2 and onnxscript 0.7.2.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

EOT = 49407
# Exports to fewer operations than "sdpa" does, which guards against rows of nothing but -inf.
ATTENTION = "eager"

VISION = CLIPVisionConfig(
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    image_size=224,
    patch_size=32,
    projection_dim=512,
    hidden_act="quick_gelu",
    attn_implementation=ATTENTION,
)
TEXT = CLIPTextConfig(
    vocab_size=49408,
    hidden_size=512,
    intermediate_size=2048,
    num_hidden_layers=12,
    num_attention_heads=8,
    max_position_embeddings=77,
    projection_dim=512,
    hidden_act="quick_gelu",
    attn_implementation=ATTENTION,
    bos_token_id=49406,
    eos_token_id=EOT,
)


class Embed(nn.Module):
    """The projected embedding alone: nothing else is computed, or copied out, for a score."""

    def __init__(self, tower, output):
        super().__init__()
        self.tower = tower
        self.output = output

    def forward(self, x):
        return self.tower(x)[self.output]


def write(path, tower, output, x, free):
    model = Embed(tower, output).eval()
    # One file, as weights beside it would have to be fetched and named too. The output is not
    # called "embedding", which the graph holds already: onnxruntime refuses the name twice.
    torch.onnx.export(
        model,
        (x,),
        path,
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes=(free,),
        opset_version=20,
        dynamo=True,
        external_data=False,
    )
    print(path, path.stat().st_size)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=77)
    # Sizes of 2 and more: torch.export takes a size of 1 for a constant.
    write(
        folder / "vision.onnx",
        CLIPVisionModelWithProjection(VISION),
        "image_embeds",
        torch.randn(2, 3, 224, 224),
        {0: batch},
    )
    ids = torch.randint(1, 49406, (2, 16))
    ids[:, -1] = EOT
    write(
        folder / "text.onnx",
        CLIPTextModelWithProjection(TEXT),
        "text_embeds",
        ids,
        {0: batch, 1: length},
    )


if __name__ == "__main__":
    main()
