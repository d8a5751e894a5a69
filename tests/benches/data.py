"""Pillow's side of `cargo xtask bench data`: photos decoded, cropped and resized by several processes.

The first line of standard input says what to do; for each further line there's a pass over all photos, and its seconds on standard
output.
"""

import json
import sys
import time
from multiprocessing import Pool

from PIL import Image


def load(photo):
    path, box, size = photo
    with Image.open(path) as image:
        cropped = image.convert("RGB").crop(box).resize((size, size), Image.BICUBIC)
    return len(cropped.tobytes())


def main():
    task = json.loads(sys.stdin.readline())
    photos = [(path, box, task["size"]) for path, box in task["photos"]]
    with Pool(task["processes"]) as pool:
        # Processes are started before the first pass is timed.
        pool.map(load, photos[: task["processes"]])
        for _ in sys.stdin:
            began = time.perf_counter()
            assert all(pool.map(load, photos, chunksize=4))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
