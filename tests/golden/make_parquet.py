"""Writes tests/golden/parquet/: small tables of images and captions, as pyarrow packs them.

Written with Python 3.11, pyarrow 26.0.1:

    python tests/golden/make_parquet.py

Each file has the same 60 rows in groups of 25, in another packing. Row n has the image b"pixels of n " seven times, but for row 7,
which is null with a path, and row 8, which is null without one; the caption "a caption of n", null for row 9 and blank for row 10;
and n % 4 negatives.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "parquet"
OUT.mkdir(exist_ok=True)
ROWS = range(60)


def image(n):
    if n in (7, 8):
        return {"bytes": None, "path": "seven.jpg" if n == 7 else None}
    return {"bytes": b"pixels of %d " % n * 7, "path": f"{n}.jpg"}


CAPTIONS = [None if n == 9 else "  " if n == 10 else f"a caption of {n}" for n in ROWS]
NEGATIVES = [[f"not {at} of {n}" for at in range(n % 4)] for n in ROWS]
PAIR = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
hub = pa.table(
    {
        "id": pa.array(ROWS, pa.int64()),
        "image": pa.array([image(n) for n in ROWS], PAIR),
        "caption": pa.array(CAPTIONS, pa.string()),
        "negatives": pa.array(NEGATIVES, pa.list_(pa.string())),
    }
)
for name, options in {
    "snappy": {},
    "gzip": {"compression": "gzip", "data_page_version": "2.0"},
    "zstd": {"compression": "zstd", "use_dictionary": False, "data_page_size": 256, "write_batch_size": 5},
    "plain": {"compression": "none", "use_dictionary": False, "write_statistics": False},
    "pages": {"data_page_version": "2.0", "data_page_size": 256, "write_batch_size": 5, "write_page_index": True},
    "delta-lengths": {
        "use_dictionary": False,
        "column_encoding": {"image.bytes": "DELTA_LENGTH_BYTE_ARRAY", "caption": "DELTA_LENGTH_BYTE_ARRAY"},
    },
    "delta-strings": {
        "use_dictionary": False,
        "column_encoding": {"image.bytes": "DELTA_BYTE_ARRAY", "caption": "DELTA_BYTE_ARRAY"},
    },
    "lz4": {"compression": "lz4"},
}.items():
    pq.write_table(hub, OUT / f"{name}.parquet", row_group_size=25, **options)

# A binary column and lists of captions: what becomes of web dataset shards.
lists = [["one", " ", f"two of {n}"] if n else [] for n in range(3)]
pq.write_table(
    pa.table({"jpg": pa.array([b"pixels of %d " % n for n in range(3)], pa.binary()), "caption": lists}),
    OUT / "lists.parquet",
)
pq.write_table(pa.table({"file_name": ["seven.jpg", "none.jpg", ""], "text": ["a", "b", "c"]}), OUT / "paths.parquet")
pq.write_table(pa.table({"photo": [b"x"], "words": ["a"]}), OUT / "others.parquet")

# Captions in maps, as pyarrow has those of several languages; in structures; and the columns of webdataset's members.
JPG = pa.array([b"pixels of %d " % n for n in range(3)], pa.binary())
MAPS = [[("en", "a cat"), ("de", "eine Katze")], [("en", None)], None]
maps = pa.table({"jpg": JPG, "caption": pa.array(MAPS, pa.map_(pa.string(), pa.string()))})
pq.write_table(maps, OUT / "maps.parquet")
structures = pa.table(
    {
        "jpg": JPG,
        "caption": [{"en": f"{n} cats", "de": f"{n} Katzen"} for n in range(3)],
        "sentences": [[{"id": at, "raw": f"{n} raw {at}"} for at in range(n)] for n in range(3)],
    }
)
pq.write_table(structures, OUT / "structures.parquet")
members = [{"bytes": b"pixels of %d " % n, "path": None} for n in range(3)]
pq.write_table(
    pa.table(
        {
            "__key__": ["0", "1", "2"],
            "jpg": pa.array(members, PAIR),
            "txt": ["of train", "['of val', 'too']", "of test"],
            "json": [{"key": "x"}] * 3,
            "Split": ["train", "val", "test"],
        }
    ),
    OUT / "members.parquet",
)
pq.write_table(pa.table({"URL": ["https://x/0.jpg"], "TEXT": ["a"]}), OUT / "links.parquet")

# Without rows: as a whole, where pandas gives its columns no type, and in one of two groups.
pq.write_table(pa.table({"image": pa.nulls(0), "caption": pa.nulls(0)}), OUT / "empty.parquet")
upper = pa.table({"IMG": JPG, "TEXT": ["0", "1", "2"]})
with pq.ParquetWriter(OUT / "empty-group.parquet", upper.schema) as writer:
    for part in (upper.slice(0, 0), upper):
        writer.write_table(part)
