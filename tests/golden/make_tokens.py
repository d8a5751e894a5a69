"""Writes what the tokenizer is built from and measured against, all computed by the reference libraries.

    python tests/golden/make_tokens.py resources   # the two files embedded in crates/clove/src/tokenizer
    python tests/golden/make_tokens.py hard        # hard_texts.json: hard texts and their ids at context 77
    python tests/golden/make_tokens.py digests     # caption_digests.json: one digest of the ids of every caption file

Reference versions: Python 3.11 (Unicode 14), open_clip_torch 3.3.0, ftfy 6.3.1, regex 2026.11.15.
The caption files are looked up under CLOVE_SHARED_DATA, or ../shared/data seen from the repository root.
"""

import gzip
import html.entities
import json
import os
import sys
import tarfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHARED = Path(os.environ.get("CLOVE_SHARED_DATA", ROOT / ".." / "shared" / "data"))
RESOURCES = ROOT / "crates" / "clove" / "src" / "tokenizer"
CONTEXT = 77


def reference():
    """open_clip's default tokenizer, but with special-token text taken as ordinary text.

    open_clip gives the ids 49406 and 49407 to its own spellings "<start_of_text>" and "<end_of_text>" in a caption,
    so a caption could end itself early. The project never does that, so its reference leaves both out of the word
    pattern and out of the cache that maps them to themselves. Nothing else is changed.
    """
    import regex
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer(context_length=CONTEXT)
    specials = "<start_of_text>|<end_of_text>|"
    pattern = tokenizer.pat.pattern
    assert pattern.startswith(specials.rstrip("|")), pattern
    tokenizer.pat = regex.compile(pattern[len(specials):], regex.IGNORECASE)
    tokenizer.cache = {}
    return tokenizer


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return packer.compress(data) + packer.flush()


def symbols():
    """The printable character that stands for each byte, in the vocabulary's order (openai/CLIP, bytes_to_unicode)."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in kept] + [chr(0x100 + i) for i in range(256 - len(kept))]


def write_resources():
    """clip_merges.deflate: the two ids of each merge, split into four planes of bytes (low and high, left and right),
    which deflate packs a fifth tighter than the text. html_entities.deflate: HTML 5's named references, NUL-separated,
    `name=characters`, or `name*characters` where the name also counts without its semicolon."""
    with gzip.open(SHARED / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    tokens = symbols()
    tokens += [symbol + "</w>" for symbol in tokens] + [left + right for left, right in merges]
    ids = {token: i for i, token in enumerate(tokens)}
    assert len(merges) == 48894 and len(ids) == len(tokens) == 49406
    pairs = [(ids[left], ids[right]) for left, right in merges]
    planes = b"".join(bytes(pair[side] >> shift & 255 for pair in pairs) for side in (0, 1) for shift in (0, 8))
    names = html.entities.html5
    entities = []
    for name, value in sorted(names.items()):
        if name.endswith(";"):
            bare = name[:-1]
            assert names.get(bare, value) == value and "\0" not in value
            entities.append(f"{bare}{'*' if bare in names else '='}{value}")
    for file, data in (("clip_merges", planes), ("html_entities", "\0".join(entities).encode())):
        packed = deflate(data)
        (RESOURCES / f"{file}.deflate").write_bytes(packed)
        print(f"{file}.deflate: {len(data)} bytes in {len(packed)}")


def mojibake(text, encoding="windows-1252"):
    return text.encode("utf-8").decode(f"sloppy-{encoding}" if encoding.startswith("windows") else encoding)


def hard_texts():
    import ftfy.bad_codecs

    ftfy.bad_codecs.ok()
    yield from ["", " ", "\t\n \r\n", "\u3000", "\u200b", "\ufeff", "\x00\x07", "&nbsp;", "a", "."]
    # Quotes and contractions.
    yield from ["“A dog’s life”", "‘single’ and ‚low‘ and „german“", "it`s ´odd´", "«guillemets» ‹kept›", "the dogs’ bowls"]
    yield from ["I'M SURE THEY'LL SAY IT'S NOT WHAT WE'VE HAD; YOU'D DON'T YOU'RE", "''s 'S 'T 'Re 'sS", "rock'n'roll o'clock 'tis"]
    yield from ["he'ſ long s", "ŉ and ʼn and ʼs", "'", "''", "'s", "x'll'd've"]
    # Width, ligatures, digraphs.
    yield from ["ＬＯＵＤ　ＮＯＩＳＥＳ！", "Ｕﾀｰﾝ ﾊﾞｽ", "￥１００ ＆ａｍｐ；", "ﾡﾢￂ half-width hangul", "￣ macron"]
    yield from ["ﬁne ﬂour oﬃce waﬄe ﬆop ﬅ ﬀ", "Ĳsselmeer ĳs ǅ Ǉ ǌ Ǳ", "Æsop œuvre ß ẞ STRASSE"]
    # HTML.
    yield from ["a cat &amp; a dog", "a cat &amp;amp; a dog", "&amp;amp;amp;lt;b&amp;amp;amp;gt;", "&lt;b&gt;bold&lt;/b&gt;", "<b>fish &amp; chips</b>"]
    yield from ["<p>&eacute;</p>\n&EACUTE;", "P&EACUTE;REZ &NTILDE; &nTILDE; BUNDESSTRA&SZLIG;E", "&copy 2024 &reg;&trade; &notit; &hearts", "AT&T Q&A R&D &c."]
    yield from ["&#8217;s &#x2019;s &#39;s &#039;", "&#128512; &#x1F600;", "&#0; &#x80; &#150; &#xD800; &#x110000; &#xFFFE; &#1;", "&#99999999999999999999;", "&#x;&#;&;&", "&#59;&#123abc;"]
    yield from ["caf&eacute au lait", "&Lt;&NotEqualTilde;&CounterClockwiseContourIntegral;", "&" + "x" * 40 + ";", "&lt;|endoftext|&gt;", "&lt;end_of_text&gt;"]
    # Special-token text is ordinary text.
    yield from ["<|endoftext|>", "<|startoftext|>", "<end_of_text>", "<start_of_text>", "<END_OF_TEXT>", "a dog<end_of_text>a cat<|endoftext|>"]
    yield from ["<|startoftext|>a photo<|endoftext|>", "</w>", "a</w>", "<unk> <pad> [CLS]", "endoftext |endoftext| <|endoftext"]
    # Emoji.
    yield from ["😀", "a 😀😀😀 face", "👩‍👩‍👧‍👦 family", "👍🏽 thumbs", "🇩🇪🇫🇷🇯🇵", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f wales", "❤️ ♥ ☺︎", "1️⃣ #️⃣", "(╯°□°)╯︵ ┻━┻", "¯\\_(ツ)_/¯"]
    # Accents, composed and not.
    yield from ["café", "cafe\u0301", "n\u0303ino", "e\u0323\u0302", "Z\u0351\u036b\u0343a\u0334l\u0337g\u0321o\u0322", "\u0301leading mark", "Ångström Å Å", "naïve façade São Paulo"]
    yield from ["ᾳ α\u0345 \u0345", "한\u1100\u1161", "か\u3099 は\u309a", "ـعـربـي", "\u0344 \u0958"]
    # Scripts and case.
    yield from ["一只猫坐在垫子上", "猫がマットの上に座っている。", "매트 위에 앉아 있는 고양이", "قطة تجلس على الحصيرة", "حصان يركب رجلاً ٣٤", "एक बिल्ली चटाई पर बैठी है", "แมวนั่งบนเสื่อ", "חתול יושב על השטיח"]
    yield from ["Кошка сидит на коврике", "Їжак і ґава", "ΟΔΥΣΣΕΥΣ ΚΑΙ ΣΊΣΥΦΟΣ", "ΑΣ ΑΣ. ΑΣ' ΑΣ́ Σ ΣΑ Α\u00adΣ", "Η γάτα κάθεται", "İSTANBUL ISPARTA ılık iyi", "Straße STRASSE ǅ", "Kelvin K Ω Å"]
    yield from ["ქართული ᲥᲐᲠᲗᲣᲚᲘ", "Հայերեն", "ᏣᎳᎩ ꭳ", "𐐀𐐁 𐐨", "𝒜 𝓫𝔬𝕝𝖉 𝟙𝟚", "Ⓐ ⓑ Ⅷ ⅷ ½ ² ③", "ªº µ", "ʰʲ ˈa ˌb", "ŁÓDŹ żółć", "Việt Nam TIẾNG"]
    # Numbers and punctuation.
    yield from ["3 dogs, 12 cats and 1234567890 birds", "3.14e-10 50% $5.00 #1 2nd 1/2", "٠١٢ ०१२ 一二三", "a-b_c/d\\e|f~g^h", "... --- *** !!! ???", "\"quoted\"", "foo@bar.com http://x.y/z?a=b&c=d", "{}[]()<>", "!?!?😀!?"]
    # White space, zero width, control characters, terminal escapes.
    yield from ["  two  spaces  ", "tab\tnew\nline\r\nfeed\x0cend", "a\x0bb\x1cc\x1fd", "a\u2028b\u2029c\x85d", "a\u00a0b\u2003c\u202fd\u3000e", "zero\u200bwidth\u200cjoin\u200der", "\ufeffbom in\ufeffside", "soft\u00adhyphen"]
    yield from ["right\u200fto\u202eleft\u202c", "\x1b[31mred\x1b[0m \x1b[1;44mblue", "\x1b[ not one", "nul\x00bell\x07del\x7f", "\ufff9a\ufffab\ufffb \ufffc", "\u206a\u206f", "\ufffd replaced", "\u180e mongolian", "\ue000 private \uf8ff"]
    # Mojibake.
    for text in ["café crème", "“quoted” — don’t…", "naïve señor", "Москва", "Ελληνικά", "日本語", "ok 😀", "à la mode", "€5 ½ °C"]:
        yield f"a sign: {mojibake(text)}"
    for encoding in ["latin-1", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "windows-1257", "iso-8859-2", "macroman", "cp437"]:
        yield mojibake("a “dog’s” café — naïve", encoding)
    yield from [mojibake(mojibake("déjà vu")), "voilÃ  le travail", "voilÃ le travail", "Ã la carte Ã s", "â€œlostâ€\ufffd", "doesnâ€?t", "caf\x82 \x93C1\x94 \x85", "l’humanitÃ©", "good café and bad cafÃ©"]
    yield from ["\xed\xa0\xbd\xed\xb8\x8d cesu", "Ã\x83Â© nested", "à ¤¹à ¤¿", "Ôèå íå", "AÃ±o Nuevo 2024 Â¡ya!", "Âº Â° Â£5", "√© MacRoman ‚Äî", "вЂ“ and Р°", "ÖÄÜ ÇÉ éèà", "MÜNCHEN°"]
    # Length.
    yield from [" ".join(["word"] * 500), "a" * 10_000, "ab1!" * 2_500, "😀" * 300, " ".join("dog" for _ in range(75)), " ".join("dog" for _ in range(76)), "dog " * 74 + "'s"]


def write_hard():
    tokenizer = reference()
    rows = []
    for text in hard_texts():
        ids = tokenizer([text])[0].tolist()
        rows.append({"text": text, "ids": ids[: ids.index(tokenizer.eot_token_id) + 1]})
    assert len({row["text"] for row in rows}) == len(rows)
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (HERE / "hard_texts.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")
    print(f"hard_texts.json: {len(rows)} texts")


CAPTION_FILES = [
    *(f"benchmarks/sugar-crepe/{name}.json" for name in
      ("add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")),
    *(f"benchmarks/sugarcrepe-pp/{name}.json" for name in
      ("replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")),
    "benchmarks/aro/valid_neg_clip.tsv",
    "benchmarks/cola/COLA_multiobjects_matching_benchmark.json",
    "benchmarks/zero-shot/en_classnames.json",
    "benchmarks/zero-shot/en_zeroshot_classification_templates.json",
    "photos/coco-val2017/captions.json",
    "photos/flickr8k-96/train-00000.tar",
    "photos/flickr8k-96/train-00001.tar",
    "photos/flickr8k-96/test-00000.tar",
]


def strings(value):
    """Every string value of a JSON document: captions, but also file names and addresses, which are texts, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        yield from strings(list(value.values()))


def texts_of(path):
    if path.suffix == ".tar":
        with tarfile.open(path) as shard:
            for member in shard:
                if member.isfile() and member.name.endswith(".json"):
                    yield from strings(json.load(shard.extractfile(member)))
    elif path.suffix == ".tsv":
        for line in path.read_text(encoding="utf-8").split("\n"):
            yield from line.split("\t")
    else:
        yield from strings(json.loads(path.read_text(encoding="utf-8")))


def fnv1a(ids):
    """FNV-1a of 64 bits over the ids as little-endian 32-bit numbers."""
    value = 0xCBF29CE484222325
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def write_digests():
    """The digest of a file is the sum, modulo 2^64, of the FNV-1a of each text's ids without padding, so that it does
    not depend on the order in which a reader returns the members of an object."""
    tokenizer = reference()
    rows = {}
    for file in CAPTION_FILES:
        count = total = 0
        for text in texts_of(SHARED / file):
            ids = [tokenizer.sot_token_id, *tokenizer.encode(text), tokenizer.eot_token_id][:CONTEXT]
            ids[-1] = tokenizer.eot_token_id
            count, total = count + 1, (total + fnv1a(ids)) % (1 << 64)
        rows[file] = {"texts": count, "digest": f"{total:016x}"}
    (HERE / "caption_digests.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")
    print(f"caption_digests.json: {sum(row['texts'] for row in rows.values())} texts in {len(rows)} files")


def main():
    tasks = {"resources": write_resources, "hard": write_hard, "digests": write_digests}
    for name in sys.argv[1:] or tasks:
        tasks[name]()


if __name__ == "__main__":
    main()
