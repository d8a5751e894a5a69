"""Writes orders.json: captions, their tokens and tags by spaCy and NLTK, and their words in other orders by ARO's rules.

    python tests/golden/make_orders.py        # the orders, from the tokens in the file: needs no package
    python tests/golden/make_orders.py MODEL  # the tokens first, by NLTK 3.10.4 and spaCy 3.8.18 with MODEL, en_core_web_sm 3.8.0

The rules are those of mertyg/vision-language-models-are-bows, dataset_zoo/perturbations.py and dataset_zoo/retrieval.py, in words of
our own. Their generators are unseeded in effect (NumPy's and Python's, called for caption after caption), so that two given permutations
stand for all: each item becomes the next one, and the items are in the order backwards.
"""

import json
import re
import sys
from pathlib import Path

FILE = Path(__file__).parent / "orders.json"

CAPTIONS = [
    "a small black dog chases the white fluffy cat",
    "A man riding a brown horse on the beach.",
    "A woman in a red dress, holding a big umbrella, walks past two parked cars.",
    "Two young girls are playing with an old wooden toy.",
    "the tall man's hat is on the little boy's head",
    "A t-shirt with a smiling face hangs next to a blue-green towel.",
    "A double-decker bus drives down a two-way street.",
    "a man/woman standing by the kitchen sink",
    'A sign that says "no parking" on a brick wall.',
    "A dog isn't sitting on the couch; it's lying on the floor.",
    "A big  red truck   is parked outside. ",
    "  A kitten sleeps on a keyboard.\n",
    "BLACK AND WHITE PHOTO OF A TRAIN STATION",
    "Three sheep (one black) graze near a stone fence.",
    "a cat & a dog share a bed",
    "A clock shows 7:30 above the entrance of the old station",
    "People sit at long tables eating food and drinking wine from tall glasses!",
    "An elephant sprays water on its back while a smaller elephant watches from behind the green bushes near the muddy river bank "
    "where several other animals are drinking quietly in the early morning light of a warm day",
    "There is a plate of food with rice, beans and meat on it.",
    "A bathroom with a toilet, sink and bathtub all in white.",
    "A snowboarder jumps high in the air off of a ramp",
    "A very large airplane flying through a cloudy blue sky.",
    "Several people stand around a table with many bottles of wine.",
    "A stop sign is covered with stickers and graffiti.",
    "A close up of a giraffe's face with trees in the background",
    "The skier is wearing a bright yellow jacket and black pants.",
    "A bowl full of oranges sits on a kitchen counter",
    "A group of people flying kites in a large open field",
    "dog",
    "runs quickly",
    "",
]

NOUNS = {"NN", "NNS", "NNP", "NNPS"}
ADJECTIVES = {"JJ", "JJR", "JJS"}


def cut(caption, spacy_model, word_tokenize):
    doc = spacy_model(caption)
    return {
        "caption": caption,
        "tokens": [token.text for token in doc],
        "tags": [token.tag_ for token in doc],
        "words": word_tokenize(caption),
    }


def cleaned(caption, most=30):
    caption = re.sub(r'[.!"()*#:;~]', " ", caption.lower())
    caption = re.sub(r"\s{2,}", " ", caption).rstrip("\n").strip(" ")
    return " ".join(caption.split(" ")[:most])


def among(tokens, places, permute):
    """The tokens with those at the places permuted."""
    tokens = list(tokens)
    for place, token in zip(places, permute([tokens[place] for place in places])):
        tokens[place] = token
    return tokens


def orders(row, permute):
    tokens, tags, words = row["tokens"], row["tags"], row["words"]
    places = lambda wanted: [place for place, tag in enumerate(tags) if wanted(tag)]
    named = among(tokens, places(lambda tag: tag in NOUNS), permute)
    named = among(named, places(lambda tag: tag in ADJECTIVES), permute)
    others = among(tokens, places(lambda tag: tag not in NOUNS | ADJECTIVES), permute)
    groups = [words[start : start + 3] for start in range(0, len(words), 3)]
    within = [word for group in groups for word in permute(group)]
    of_groups = [word for group in permute(groups) for word in group]
    return [cleaned(" ".join(found)) for found in [named, others, within, of_groups]]


def main():
    if len(sys.argv) > 1:
        import spacy
        from nltk.tokenize import NLTKWordTokenizer

        model = spacy.load(sys.argv[1])
        # `word_tokenize` of one sentence; captions rarely have two.
        rows = [cut(caption, model, NLTKWordTokenizer().tokenize) for caption in CAPTIONS]
    else:
        rows = json.loads(FILE.read_text())
    for row in rows:
        row["cleaned"] = cleaned(row["caption"])
        row["next"] = orders(row, lambda items: items[1:] + items[:1])
        row["backwards"] = orders(row, lambda items: items[::-1])
    FILE.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


main()
