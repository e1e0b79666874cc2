"""Resizing photographs beside the notebook's way, row by row, and beside libjpeg-turbo alone.

`plain` is what a notebook does: pandas `map` over a column of paths, `imread`, `cvtColor` and
`resize`, then `np.stack`. `full` and `reduced` are `resize_images` with that `decode`, on every
core, into an array in memory. Their limits are `imdecode` alone at the same scale, on every core,
from memory, no file read and no pixel kept; `full / its limit` is our speed as a share of that.

The photographs are drawn as for the demonstration, a few dozen, each shifted, mirrored and lit anew
to the number asked for, and stored as HAM10000's originals are: 600 × 450, quality 100, no chroma
subsampling; 70 of those have 149 to 414 kB, in the mean 270. A block is read once before it is
measured, so that no way waits for the disk.

Each way has a process of its own. The photographs are cut into `--blocks`, and each block is given
to every way in turn: seconds are sums over the blocks, ratios those of single blocks. `python
benchmarks/resize.py` takes four minutes; `--images 400` shows that it works.
"""

import argparse
import multiprocessing
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import notebook
import numpy as np
from side_by_side import apart, report, seconds, spread

from lesions.cores import n_workers
from lesions.demo import draw_photograph
from lesions.images import CHUNK, KEPT, SCALES, find_scale, resize_images
from lesions.taxonomy import CODES

HEIGHT, WIDTH = 450, 600
N_DRAWN = 6  # of each diagnosis
WAYS = ("plain", "full", "limit of full", "reduced", "limit of reduced")


def main():
    """Measure every way at every size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 224])
    parser.add_argument("--images", type=int, default=10_015)
    parser.add_argument("--blocks", "--pairs", type=int, default=20)
    parser.add_argument("--quality", type=int, default=100, help="of the JPEGs")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pools = {way: context.Pool(1) for way in WAYS}
    try:
        with tempfile.TemporaryDirectory() as name:
            files = apart(write_photographs, name, options.images, options.quality)
            blocks = np.array_split(files, options.blocks)
            rows = [measure_size(pools, blocks, size) for size in options.sizes]
            n_bytes = [os.path.getsize(file) for file in files]
    finally:
        for pool in pools.values():
            pool.close()
            pool.join()
    size = {"kB a file": spread([n / 1000 for n in n_bytes])}
    report("resize", rows, settings=vars(options) | size)


def measure_size(pools, blocks, size):
    """Give a line of the table."""
    for way in WAYS:  # imports and memory, once
        pools[way].apply(run, (way, blocks[0][: 4 * CHUNK], size))
    found = []
    for block in blocks:
        for file in block:  # from the disk, if the system's cache has let it go
            Path(file).read_bytes()
        found.append({way: pools[way].apply(run, (way, block, size)) for way in WAYS})

    def ratio(one, other):
        return spread([times[one] / times[other] for times in found])

    line = {"size, px": size} | {f"{way}, s": sum(t[way] for t in found) for way in WAYS}
    return line | {
        "plain / full": ratio("plain", "full"),
        "plain / reduced": ratio("plain", "reduced"),
        "full / its limit": ratio("limit of full", "full"),
        "reduced / its limit": ratio("limit of reduced", "reduced"),
    }


def run(way, files, size):
    """Give the seconds that a way takes for some files."""
    files = [str(file) for file in files]
    if way == "plain":
        return seconds(notebook.read_images, files, size)
    if way.startswith("limit"):
        scale = find_scale((HEIGHT, WIDTH), at_least=size) if way.endswith("reduced") else 1
        encoded = [np.fromfile(file, np.uint8) for file in files]
        return seconds(limit, encoded, cv2.IMREAD_COLOR_RGB | SCALES[scale])
    return seconds(ours, [Path(file) for file in files], size, way)


def ours(paths, size, decode):
    """Do what stage `resize` does, into memory."""
    out = np.empty((len(paths), size, size, 3), np.uint8)
    resize_images(paths, out, pixels=size, interpolation="linear", crop="none", decode=decode)


def limit(encoded, flags):
    """Decode and throw away; the memory is kept as ours is, or the limit would be lower."""
    np.empty(KEPT, np.uint8)

    def decode(start):
        for pixels in encoded[start : start + CHUNK]:
            cv2.imdecode(pixels, flags)

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(n_workers()) as workers:
        list(workers.map(decode, range(0, len(encoded), CHUNK)))


def write_photographs(folder, n_images, quality):
    """Write the JPEGs and give their names."""
    cv2.setNumThreads(1)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]

    def draw(number):
        return draw_photograph(CODES[number % len(CODES)], lesion_seed=number, photo_seed=number)

    def write(number):
        rng = np.random.default_rng(number)
        image = drawn[number % len(drawn)][:: rng.choice([-1, 1])]
        image = np.roll(image, rng.integers(-40, 40, 2), axis=(0, 1))
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.85, 1.1))
        path = f"{folder}/{number:06}.jpg"
        assert cv2.imwrite(path, image, options), path
        return path

    with ThreadPoolExecutor(n_workers()) as workers:
        drawn = list(workers.map(draw, range(min(N_DRAWN * len(CODES), n_images))))
        files = list(workers.map(write, range(n_images)))
    os.sync()  # so that no one is measured while they are written to the disk
    return files


if __name__ == "__main__":
    main()
