"""Resizing photographs beside the notebook's row by row, and beside libjpeg-turbo alone.

`full` and `reduced` are `resize_images` with that `decode`, on every core, into an array in memory.
Their limits are `imdecode` alone at the same scale, on every core, from memory: no file is read and
no pixel kept.

A few dozen synthetic photographs are shifted, mirrored and lit anew to the number asked for, and
stored as HAM10000's originals are: 600 × 450 px, quality 100, no chroma subsampling (70 of those
have 149 to 414 kB, 270 in the mean). A block is read once before it is measured, so that nothing
waits for the disk.

Each method has a process of its own. The photographs are divided into `--blocks`, and each block is
given to every method in turn: seconds are sums over blocks, ratios those of single blocks. `python
benchmarks/resize.py` takes four minutes; `--images 400` is a test.
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
from side_by_side import call_in_process, summarize, time_call, write_results

from lesions.datasets.ham10000 import CODES
from lesions.datasets.synthetic.camera import HEIGHT, WIDTH, take_photograph
from lesions.datasets.synthetic.pigments import draw_lesion
from lesions.imaging.images import KEPT, SCALES, find_scale, resize_images
from lesions.imaging.threads import CHUNK, n_workers

N_DRAWN = 6  # of each diagnosis
METHODS = ("notebook", "full", "limit of full", "reduced", "limit of reduced")


def main():
    """Measure every method at every size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", nargs="+", type=int, default=[32, 224])
    parser.add_argument("--images", type=int, default=10_015)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--quality", type=int, default=100, help="of the JPEGs")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pools = {method: context.Pool(1) for method in METHODS}
    try:
        with tempfile.TemporaryDirectory() as name:
            files = call_in_process(write_photographs, name, options.images, options.quality)
            blocks = np.array_split(files, options.blocks)
            rows = [measure_size(pools, blocks, pixels) for pixels in options.pixels]
            sizes = summarize([os.path.getsize(file) / 1000 for file in files])
    finally:
        for pool in pools.values():
            pool.close()
            pool.join()
    write_results("resize", rows, settings=vars(options) | {"kB per file": sizes})


def measure_size(pools, blocks, pixels):
    """Return a line of the table."""
    for method in METHODS:  # imports and memory, once
        pools[method].apply(run, (method, blocks[0][: 4 * CHUNK], pixels))
    blocks_seconds = []
    for block in blocks:
        for file in block:
            Path(file).read_bytes()
        seconds = {method: pools[method].apply(run, (method, block, pixels)) for method in METHODS}
        blocks_seconds.append(seconds)

    def ratio(numerator, denominator):
        return summarize([block[numerator] / block[denominator] for block in blocks_seconds])

    totals = {method: sum(block[method] for block in blocks_seconds) for method in METHODS}
    return (
        {"pixels": pixels}
        | {f"{method}, s": total for method, total in totals.items()}
        | {
            "notebook / full": ratio("notebook", "full"),
            "notebook / reduced": ratio("notebook", "reduced"),
            "full, share of its limit": ratio("limit of full", "full"),
            "reduced, share of its limit": ratio("limit of reduced", "reduced"),
        }
    )


def run(method, files, pixels):
    """Return the seconds that a method takes for some files."""
    files = [str(file) for file in files]
    if method == "notebook":
        return time_call(notebook.read_images, files, pixels)
    if method.startswith("limit"):
        scale = find_scale((HEIGHT, WIDTH), at_least=pixels) if "reduced" in method else 1
        encoded = [np.fromfile(file, np.uint8) for file in files]
        return time_call(decode_only, encoded, cv2.IMREAD_COLOR_RGB | SCALES[scale])
    return time_call(resize, [Path(file) for file in files], pixels, method)


def resize(paths, pixels, decode):
    """Do what stage `resize` does, into memory."""
    out = np.empty((len(paths), pixels, pixels, 3), np.uint8)
    resize_images(paths, out, pixels=pixels, interpolation="linear", crop="none", decode=decode)


def decode_only(encoded, flags):
    """Decode and discard; memory is kept as in `resize_images`, or the limit would be lower."""
    np.empty(KEPT, np.uint8)

    def decode(start):
        for image in encoded[start : start + CHUNK]:
            cv2.imdecode(image, flags)

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(n_workers()) as workers:
        list(workers.map(decode, range(0, len(encoded), CHUNK)))


def write_photographs(folder, n_images, quality):
    """Write the JPEGs and return their names."""
    cv2.setNumThreads(1)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]

    def draw(number):
        rng = np.random.default_rng(number)
        return take_photograph(draw_lesion(CODES[number % len(CODES)], rng), rng)

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
    os.sync()  # so that nothing is measured while they are written to the disk
    return files


if __name__ == "__main__":
    main()
