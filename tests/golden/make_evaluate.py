"""Makes tests/golden/evaluate: small benchmarks in their published formats over drawn pictures, and what each row gets.

    python tests/golden/make_evaluate.py

The model is tests/golden/tiny-clip. Similarities are computed by transformers, each benchmark's rule on its own, row by row, as the
benchmark's published code states it: the differences are written down whose signs decide, and no rule is shared between two of them.
Captions and words stand for themselves: the model is random and understands none of them.
"""

import json
import random
from pathlib import Path

import open_clip
import torch
from PIL import Image, ImageDraw
from torchvision import transforms
from transformers import CLIPModel

HERE = Path(__file__).parent
OUT = HERE / "evaluate"
MODEL = HERE / "tiny-clip" / "hf"
COLOURS = ["red", "blue", "green", "yellow", "black", "white"]
SHAPES = ["square", "circle", "triangle", "bar"]
# Rows whose decision hangs on less are no test of another computation.
CLEAR = 2e-5

draw = random.Random(8)


def picture(number):
    """Two coloured shapes on a ground of its own, and what they are."""
    width, height = 60 + 7 * number, 100 - 6 * number
    image = Image.new("RGB", (width, height), tuple(draw.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    things = []
    for part in range(2):
        colour, shape = draw.choice(COLOURS), draw.choice(SHAPES)
        left = 4 + part * width // 2
        box = (left, 8, left + width // 3, height - 10)
        middle = (left + box[2]) // 2
        if shape == "circle":
            pen.ellipse(box, fill=colour)
        elif shape == "triangle":
            pen.polygon([(middle, box[1]), (left, box[3]), (box[2], box[3])], fill=colour)
        elif shape == "bar":
            pen.rectangle((left, height // 3, box[2], height // 2), fill=colour)
        else:
            pen.rectangle(box, fill=colour)
        things.append(f"{colour} {shape}")
    return image, things


OUT.mkdir(exist_ok=True)
(OUT / "images").mkdir(exist_ok=True)
pictures = []
for number in range(8):
    image, things = picture(number)
    name = f"{number:012}.png"
    image.save(OUT / "images" / name, optimize=True)
    pictures.append((name, things))

model = CLIPModel.from_pretrained(MODEL, torch_dtype=torch.float32).eval()
# open_clip's, which the benchmarks' code uses (open_clip/transform.py).
preprocess = transforms.Compose(
    [
        transforms.Resize(32, transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(32),
        transforms.ToTensor(),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ]
)
tokenizer = open_clip.SimpleTokenizer()


def features(output):
    rows = output if isinstance(output, torch.Tensor) else output.pooler_output
    return (rows / rows.norm(dim=-1, keepdim=True))[0].double()


@torch.no_grad()
def of_text(text, known={}):
    if text not in known:
        ids = tokenizer([text], context_length=77)
        mask = torch.arange(77)[None] <= ids.argmax(dim=-1, keepdim=True)
        known[text] = features(model.get_text_features(input_ids=ids, attention_mask=mask.long()))
    return known[text]


@torch.no_grad()
def of_image(name, box=None, known={}):
    if (name, box) not in known:
        image = Image.open(OUT / "images" / name).convert("RGB")
        if box:
            x, y, width, height = box
            image = image.crop((x, y, x + width, y + height))
        pixels = preprocess(image)[None]
        known[(name, box)] = features(model.get_image_features(pixel_values=pixels))
    return known[(name, box)]


def sim(image, text, box=None):
    return float(of_image(image, box) @ of_text(text))


def write(name, value):
    path = OUT / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


expected = {}


def note(suite, subset, row, margin):
    assert abs(margin) > CLEAR, (suite, subset, row, margin)
    expected.setdefault(suite, {}).setdefault(subset, {})[str(row)] = round(margin, 8)


def captions(number):
    first, second = pictures[number][1]
    return f"a {first} to the left of a {second}", f"a {second} to the left of a {first}"


def others():
    colour, shape = draw.choice(COLOURS), draw.choice(SHAPES)
    return f"a {colour} {shape} and a {draw.choice(COLOURS)} {draw.choice(SHAPES)}"


# SugarCrepe: an object of objects; strict (RAIVNLab/sugar-crepe, main_eval.py).
for subset in ["add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"]:
    rows = {}
    for number, (name, _) in enumerate(pictures):
        caption, negative = captions(number)
        negative = negative if subset.startswith("swap") else others() + "."
        rows[str(3 * number)] = {"filename": name, "caption": caption, "negative_caption": negative}
        note("sugar-crepe", subset, 3 * number, sim(name, caption) - sim(name, negative))
    write(f"sugar-crepe/{subset}.json", rows)

# SugarCrepe++: lists (Sri-Harsha/scpp). One row asks nothing: its negative is its caption.
for subset in ["replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"]:
    rows = []
    for number, (name, _) in enumerate(pictures):
        one, _ = captions(number)
        first, second = pictures[number][1]
        other, negative = f"a {second} stands right of a {first}", others()
        rows.append({"id": number, "filename": name, "caption": one, "caption2": other, "negative_caption": negative})
        itt = min(sim(name, one), sim(name, other)) - sim(name, negative)
        tot = of_text(one) @ of_text(other) - max(of_text(one) @ of_text(negative), of_text(other) @ of_text(negative))
        note("sugar-crepe-pp", f"{subset} ITT", number, itt)
        note("sugar-crepe-pp", f"{subset} TOT", number, float(tot))
    if subset == "swap_obj":
        name = pictures[0][0]
        rows.append({"id": 99, "filename": name, "caption": "a cat", "caption2": "one cat", "negative_caption": "a cat"})
    write(f"sugar-crepe-pp/{subset}.json", rows)

# COLA: [link, caption, link, caption]; each caption to its own photo (arijitray1993/COLA).
rows = []
for number in range(0, 8, 2):
    (one, _), (other, _) = pictures[number], pictures[number + 1]
    first, second = captions(number)[0], captions(number + 1)[0]
    rows.append([f"https://example.org/vg/{one}", first, f"https://example.org/vg/{other}", second])
    margin = min(sim(one, first) - sim(other, first), sim(other, second) - sim(one, second))
    note("cola", "multi-object", number // 2, margin)
write("cola.json", rows)

# Winoground: lines of JSON, photos named without an ending (facebook/winoground, its notebook's three functions).
lines = []
for number in range(7):
    one, other = pictures[number][0], pictures[number + 1][0]
    c0, c1 = captions(number)[0], captions(number + 1)[0]
    s = {(c, i): sim(image, text) for c, text in enumerate([c0, c1]) for i, image in enumerate([one, other])}
    text = min(s[0, 0] - s[1, 0], s[1, 1] - s[0, 1])
    image = min(s[0, 0] - s[0, 1], s[1, 1] - s[1, 0])
    for name, margin in [("group", min(text, image)), ("text", text), ("image", image)]:
        note("winoground", f"winoground {name}", number, margin)
    row = {"id": number, "image_0": one[:-4], "image_1": other[:-4], "caption_0": c0, "caption_1": c1}
    lines.append(json.dumps({**row, "tag": "Object"}))
(OUT / "winoground.jsonl").write_text("\n".join(lines) + "\n")

# ARO: boxes of photos; relations, of which "near" holds both ways; attributes, of which a pair counts from 25 rows on
# (mertyg/vision-language-models-are-bows, dataset_zoo/aro_datasets.py, main_aro.py).
relations, attributes = [], []
for number in range(27):
    name, (first, second) = pictures[number % 8]
    width, height = Image.open(OUT / "images" / name).size
    box = (draw.randrange(10), draw.randrange(10), width - 14 - number % 5, height - 16)
    row = {"image_path": name, "image_id": number, **dict(zip(["bbox_x", "bbox_y", "bbox_w", "bbox_h"], box))}
    relation = ["left of", "above", "near"][number % 3]
    true, false = f"the {first} is {relation} the {second}", f"the {second} is {relation} the {first}"
    relations.append({**row, "true_caption": true, "false_caption": false, "relation_name": relation})
    if relation != "near":
        note("vg-relation", relation, number, sim(name, true, box) - sim(name, false, box))
    few = number >= 25
    true, false = f"the {first} and the {second}, {number}", f"the {second} and the {first}, {number}"
    attributes.append({**row, "true_caption": true, "false_caption": false, "attributes": ["big", "old" if few else "small"]})
    if not few:
        note("vg-attribution", "big_small", number, sim(name, true, box) - sim(name, false, box))
write("visual_genome_relation.json", relations)
write("visual_genome_attribution.json", attributes)

# Word order: the caption and four others. By CLoVe's code those that equal it can't be chosen (Netflix/clove, zero_shot.py); by ARO's the
# first of equals is, which is the caption (mertyg/vision-language-models-are-bows, dataset_zoo/aro_datasets.py).
rows = []
for number, (name, _) in enumerate(pictures):
    caption = captions(number)[0]
    options = []
    for _ in range(4):
        words = caption.split()
        draw.shuffle(words)
        options.append(" ".join(words))
    if number % 3 == 0:
        options[1] = caption
    rows.append({"image": name, "caption_options": [caption, *options]})
    wrong = max(sim(name, text) for text in options if text != caption)
    note("order", "order", number, sim(name, caption) - wrong)
    scores = [sim(name, text) for text in [caption, *options]]
    assert (scores.index(max(scores)) == 0) == (sim(name, caption) > wrong)
    note("order", "order ARO", number, sim(name, caption) - wrong)
write("order.json", rows)

# SVO-Probes: a table (deepmind/svo_probes); by CLoVe's rule.
judged = {kind: [] for kind in ["subject", "verb", "object"]}
lines = ["sentence,pos_triplet,neg_triplet,subj_neg,verb_neg,obj_neg,pos_url,neg_url,pos_image_id,neg_image_id"]
for number in range(8):
    one, other = pictures[number][0], pictures[(number + 3) % 8][0]
    kind = number % 3
    # Where several differ, the first counts.
    flags = [kind == 0, kind == 1, kind == 2 or number == 3]
    text = f"A {pictures[number][1][0]}, and {number} more."
    flags = ",".join(str(flag) for flag in flags)
    lines.append(f'"{text}",a,b,{flags},u,u,{one[:-4]},{other[:-4]}')
    note("svo-probes", ["subject", "verb", "object"][kind], number, sim(one, text) - sim(other, text))
    judged[["subject", "verb", "object"][kind]].append((sim(one, text), sim(other, text)))
(OUT / "svo_probes.csv").write_text("\n".join(lines) + "\n")

# Its own protocol: a photo matches from a similarity on that the other half of the rows tells best.
rows = sum(judged.values(), [])
matches = others = 0
for half in [0, 1]:
    seen = rows[1 - half :: 2]
    right = lambda t: sum(own > t for own, _ in seen) + sum(other <= t for _, other in seen)
    values = sorted(value for row in seen for value in row)
    between = [(low + high) / 2 for low, high in zip(values, values[1:])] + values[-1:]
    threshold = max(between, key=lambda value: (right(value), -value))
    matches += sum(own > threshold for own, _ in rows[half::2])
    others += sum(other <= threshold for _, other in rows[half::2])
expected["svo-probes-matching"] = {"positive": matches / len(rows), "negative": others / len(rows)}

# Retrieval: Karpathy's file; R@k by sorting, as LAION-AI/CLIP_benchmark, clip_benchmark/metrics/zeroshot_retrieval.py.
images, texts, owner = [], [], []
for number, (name, (first, second)) in enumerate(pictures):
    own = [f"{first} beside {second} {at}" for at in range(2 + number % 3)]
    images.append({"filename": name, "split": "test" if number else "train", "sentences": [{"raw": text} for text in own]})
    if number:
        owner += [number - 1] * len(own)
        texts += own
write("karpathy.json", {"images": images, "dataset": "drawn"})
scores = torch.stack([of_image(name) for name, _ in pictures[1:]]) @ torch.stack([of_text(text) for text in texts]).T
owner = torch.tensor(owner)
own = owner[None] == torch.arange(7)[:, None]
recall = {}
for k in [1, 5, 10]:
    top = scores.topk(min(k, len(texts)), dim=1).indices
    recall[f"image_to_text_at_{k}"] = float(own.gather(1, top).any(dim=1).float().mean())
    top = scores.T.topk(min(k, 7), dim=1).indices
    recall[f"text_to_image_at_{k}"] = float((top == owner[:, None]).any(dim=1).float().mean())
best = torch.where(own, scores, torch.tensor(-2.0)).max(dim=1).values
recall["image_to_text"] = (~own & (scores > best[:, None])).sum(dim=1).tolist()
mine = scores.gather(0, owner[None])
recall["text_to_image"] = (scores > mine).sum(dim=0).tolist()
expected["retrieval"] = recall

# Zero-shot: folders of classes, three prompts each, averaged (openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb).
templates = ["a photo of a {c}.", "a drawing of the {c}", "{c}"]
names = ["bar", "circle", "square", "tall_triangle"]
labels = []
for number, (name, _) in enumerate(pictures):
    label = number % 4
    folder = OUT / "classes" / names[label]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes((OUT / "images" / name).read_bytes())
    labels.append((names[label], name, label))
rows = []
for name in names:
    prompts = torch.stack([of_text(template.replace("{c}", name.replace("_", " "))) for template in templates])
    mean = prompts.mean(dim=0)
    rows.append(mean / mean.norm())
labels.sort()
right, said = 0, {}
classes = torch.zeros(4, 2)
for _, name, label in labels:
    scores = torch.stack(rows) @ of_image(name)
    best = scores.topk(2).values
    assert best[0] - best[1] > CLEAR
    said[name] = names[int(scores.argmax())].replace("_", " ")
    hit = int(scores.argmax() == label)
    right += hit
    classes[label] += torch.tensor([hit, 1])
(OUT / "templates.txt").write_text("\n".join(templates) + "\n")
expected["zero-shot"] = {"top1": right / len(labels), "classes": [int(hits) for hits in classes[:, 0]], "said": said}

write("expected.json", expected)
print({suite: {subset: len(rows) for subset, rows in found.items()} for suite, found in expected.items() if suite not in ["retrieval", "zero-shot", "svo-probes-matching"]})
