"""Writes tests/golden/preprocess/: small images and what Pillow and torchvision make of them.

Written with Python 3.11, pillow 13.0.0, torch 2.15.0, torchvision 0.29.2, numpy 2.4.6:

    python tests/golden/make_preprocess.py

Pillow 13 or newer is needed: older ones resize tall images in another order of passes, which differs by a level.

cases.json lists, for each input file, the decoded RGB (.npy, u8 [h, w, 3]) and preprocessed pixels; and random crops with
the draws they came from. Everything follows from fixed seeds.
"""

import io
import json
import math
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

OUT = Path(__file__).parent / "preprocess"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
rng = np.random.default_rng(7)
cases = {"decode": [], "pixels": [], "crops": []}


def noise(h, w, c=3, high=256, dtype=np.uint8):
    return rng.integers(0, high, (h, w, c) if c > 1 else (h, w)).astype(dtype)


def smooth(h, w, c=3):
    """Slow waves: content on which JPEG decoders agree but for their rounding."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    planes = [127 + 120 * np.sin(x / (9 + 2 * k) + k) * np.cos(y / (11 - 2 * k)) for k in range(c)]
    return np.stack(planes, -1).round().astype(np.uint8)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, color, raw, extra=b""):
    """A PNG of a layout that Pillow does not write; raw holds the rows without their filter bytes."""
    stride = len(raw) // height
    rows = b"".join(b"\0" + raw[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def saved(image, fmt, **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def save_npy(name, array):
    np.save(OUT / name, np.ascontiguousarray(array))
    return name


def decode_case(name, data, exact=True):
    (OUT / name).write_bytes(data)
    rgb = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    cases["decode"].append({"input": name, "rgb": save_npy(name + ".npy", np.asarray(rgb)), "exact": exact})
    return rgb


def pixels_case(name, rgb, size, resize="shortest", bilinear=False, values=False):
    mode = InterpolationMode.BILINEAR if bilinear else InterpolationMode.BICUBIC
    steps = {"shortest": [T.Resize(size, mode)], "squash": [T.Resize((size, size), mode)], "keep": []}[resize]
    result = T.Compose(steps + [T.CenterCrop(size)])(rgb)
    kind = "bilinear" if bilinear else "bicubic"
    stem = f"{name}.{resize}-{kind}-{size}"
    case = {"input": name, "size": size, "resize": resize, "bilinear": bilinear}
    case["pixels"] = save_npy(stem + ".npy", np.asarray(result))
    if values:
        tensor = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])(result)
        case["values"] = save_npy(stem + ".values.npy", tensor.numpy())
    cases["pixels"].append(case)


def images():
    gradient = np.stack(np.broadcast_arrays(*np.ogrid[0:252:7, 0:252:7], 99), -1).astype(np.uint8)
    name = "gradient-36x36.png"
    rgb = decode_case(name, saved(Image.fromarray(gradient), "PNG"))
    pixels_case(name, rgb, 32)
    pixels_case(name, rgb, 36)
    pixels_case(name, rgb, 20, values=True)

    # The tall ones are resized vertically first (Pillow 13). Noise is the hardest content for a resize; the odd margins of a crop are 1/2, 3/2, 5/2 pixels a side.
    for w, h, size in [(43, 27, 20), (3, 257, 16), (257, 3, 16), (1, 1, 8), (32, 33, 32), (35, 32, 32), (32, 37, 32), (91, 7, 24), (17, 41, 8), (20, 50, 16)]:
        name = f"noise-{w}x{h}.png"
        pixels_case(name, decode_case(name, saved(Image.fromarray(noise(h, w)), "PNG")), size)
    # Black and white noise drives the cubic's overshoot into the clipping.
    name = "hard-48x40.png"
    rgb = decode_case(name, saved(Image.fromarray(noise(40, 48, high=2) * 255), "PNG"))
    for size in (17, 44):
        pixels_case(name, rgb, size)
        pixels_case(name, rgb, size, bilinear=True)
        pixels_case(name, rgb, size, resize="squash")
        pixels_case(name, rgb, size, resize="keep")
    pixels_case(name, rgb, 43, resize="keep")

    box = (5, 3, 5 + 31, 3 + 29)
    result = rgb.crop(box).resize((24, 24), Image.BICUBIC)
    cases["crop_resize"] = {"input": name, "box": [5, 3, 31, 29], "size": 24, "pixels": save_npy("crop-resize.npy", np.asarray(result))}


def layouts():
    decode_case("grey.png", saved(Image.fromarray(noise(6, 9, 1)), "PNG"))
    decode_case("grey-alpha.png", saved(Image.fromarray(noise(6, 9, 2), "LA"), "PNG"))
    decode_case("rgba.png", saved(Image.fromarray(noise(6, 9, 4), "RGBA"), "PNG"))
    decode_case("bilevel.png", saved(Image.fromarray(noise(6, 9, 1) > 128), "PNG"))
    palette = Image.fromarray(noise(6, 9)).quantize(16)
    decode_case("palette.png", saved(palette, "PNG"))
    decode_case("palette-alpha.png", saved(palette, "PNG", transparency=3))
    decode_case("palette-2-bit.png", saved(Image.fromarray(noise(6, 9)).quantize(4), "PNG", bits=2))
    decode_case("grey-4-bit.png", png(8, 4, 4, 0, noise(4, 4, 1).tobytes()))

    wide = noise(6, 9, 1, 65536, ">u2")
    wide[0, :4] = [0, 255, 256, 200]
    decode_case("grey-16.png", png(9, 6, 16, 0, wide.tobytes()))
    decode_case("grey-16-transparent.png", png(9, 6, 16, 0, wide.tobytes(), chunk(b"tRNS", b"\0\xc8")))
    decode_case("grey-alpha-16.png", png(9, 6, 16, 4, noise(6, 9, 2, 65536, ">u2").tobytes()))
    decode_case("rgb-16.png", png(9, 6, 16, 2, noise(6, 9, 3, 65536, ">u2").tobytes()))
    decode_case("rgba-16.png", png(9, 6, 16, 6, noise(6, 9, 4, 65536, ">u2").tobytes()))
    decode_case("rgb-transparent.png", png(9, 6, 8, 2, noise(6, 9).tobytes(), chunk(b"tRNS", b"\0\1\0\2\0\3")))

    decode_case("rgb.bmp", saved(Image.fromarray(noise(6, 9)), "BMP"))
    decode_case("palette.gif", saved(palette, "GIF"))
    decode_case("palette-transparent.gif", saved(palette, "GIF", transparency=3))
    decode_case("rgb.tiff", saved(Image.fromarray(noise(6, 9)), "TIFF"))
    decode_case("rgb-lzw.tiff", saved(Image.fromarray(noise(6, 9)), "TIFF", compression="tiff_lzw"))
    decode_case("grey-16.tiff", saved(Image.fromarray(wide.astype("<u2")), "TIFF"))
    decode_case("rgba-lossless.webp", saved(Image.fromarray(noise(6, 9, 4), "RGBA"), "WEBP", lossless=True, exact=True))
    decode_case("lossy.webp", saved(Image.fromarray(smooth(28, 41)), "WEBP", quality=90), exact=False)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        decode_case(f"orientation-{orientation}.png", saved(Image.fromarray(noise(3, 5)), "PNG", exif=exif))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(smooth(28, 41))
    decode_case("orientation-6.jpg", saved(photo, "JPEG", quality=92, exif=exif), exact=False)
    decode_case("progressive.jpg", saved(photo, "JPEG", quality=92, progressive=True), exact=False)
    decode_case("subsampled.jpg", saved(photo, "JPEG", quality=92, subsampling="4:2:0"), exact=False)
    decode_case("grey.jpg", saved(photo.convert("L"), "JPEG", quality=92), exact=False)
    cmyk = saved(Image.fromarray(smooth(28, 41, 4), "CMYK"), "JPEG", quality=92, subsampling="4:4:4")
    decode_case("cmyk.jpg", cmyk, exact=False)
    # Adobe's transform flag, the last byte of its segment, tells YCCK (2) from CMYK (0).
    flag = cmyk.index(b"Adobe") + 11
    assert cmyk[flag] == 0
    decode_case("ycck.jpg", cmyk[:flag] + b"\2" + cmyk[flag + 1 :], exact=False)


def draws_and_crop(width, height, scale, ratio, seed):
    """torchvision's crop for a seed, and the draws in 0..1 that make it: the generator run a second time."""
    image = Image.new("L", (width, height))
    torch.manual_seed(seed)
    top, left, h, w = T.RandomResizedCrop.get_params(image, list(scale), list(ratio))
    torch.manual_seed(seed)
    draws = []
    log_ratio = torch.log(torch.tensor(ratio))
    for _ in range(10):
        area, aspect = torch.rand(1).item(), torch.rand(1).item()
        draws += [area, aspect]
        target = width * height * (torch.tensor(area) * (scale[1] - scale[0]) + scale[0]).item()
        aspect = torch.exp(torch.tensor(aspect) * (log_ratio[1] - log_ratio[0]) + log_ratio[0]).item()
        tried = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < tried[0] <= width and 0 < tried[1] <= height:
            assert tried == (w, h)
            # The middle of the draws that floor to these whole numbers.
            draws += [(top + 0.5) / (height - h + 1), (left + 0.5) / (width - w + 1)]
            break
    return {"width": width, "height": height, "scale": scale, "ratio": ratio, "draws": draws, "crop": [left, top, w, h]}


def crops():
    sizes = [(640, 480), (427, 640), (224, 224), (96, 96), (1000, 90), (90, 1000), (5, 3), (1, 1), (3, 500)]
    for seed in range(4):
        for width, height in sizes:
            cases["crops"].append(draws_and_crop(width, height, (0.9, 1.0), (3 / 4, 4 / 3), seed))
        cases["crops"].append(draws_and_crop(640, 480, (0.08, 1.0), (3 / 4, 4 / 3), seed))


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    images()
    layouts()
    crops()
    lines = [f' "{key}": ' + (json.dumps(value) if isinstance(value, dict) else "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]") for key, value in cases.items()]
    (OUT / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes in", len(list(OUT.iterdir())), "files")
