"""The audit's search for near-duplicates, exact and approximate, by number of photographs.

The photographs are generated; every tenth is the one before it, turned, flipped (not for keypoints)
and made brighter. `--method embedding` compares generated embeddings and the keypoints of generated
photographs. Each search runs in a new process, which states its own peak memory; reading, resizing
and the network are left out. Printed: seconds of the search for candidates and of their comparison,
the exponent of the search between this line and the one before, peak memory, and the share of the
copies that are among the candidates.
`python benchmarks/audit.py 10000 40000 100000 --search exact approximate`.
"""

import argparse
import math
import resource
import time

import cv2
import numpy as np
from side_by_side import call_in_process, write_results

from lesions.duplicates.alignment import align_candidates
from lesions.duplicates.descriptors import find_candidates
from lesions.duplicates.embeddings import find_neighbors
from lesions.duplicates.keypoints import count_matches, find_keypoints
from lesions.duplicates.pairs import SIDE
from lesions.imaging.threads import map_in_threads

SEARCHES = ("exact", "approximate")
EVERY = 10


def main():
    """Measure each number with each search, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", nargs="*", type=int, default=[3_000, 10_000, 30_000])
    parser.add_argument("--method", choices=("pixels", "embedding"), default="pixels")
    parser.add_argument("--search", nargs="+", choices=SEARCHES, default=SEARCHES)
    parser.add_argument("--n-neighbors", type=int, default=5)
    parser.add_argument("--search-only", action="store_true", help="without comparison")
    options = parser.parse_args()
    rows, before = [], {}
    for n_images in options.n_images:
        for search in options.search:
            row = call_in_process(measure, n_images, search, options)
            exponent = None
            if search in before:
                n_before, seconds = before[search]
                exponent = math.log(row["search, s"] / seconds) / math.log(n_images / n_before)
            before[search] = n_images, row["search, s"]
            rows.append({"photographs": n_images, "search": search, **row, "exponent": exponent})
            print(rows[-1], flush=True)
    write_results("audit", rows, settings=vars(options))


def measure(n_images, search, options):
    """Return the seconds of both steps, the peak memory in GB, and the share of copies found."""
    settings = {"n_neighbors": options.n_neighbors, "search": search}
    if options.method == "pixels":
        images = generate_images(n_images)
        start = time.perf_counter()
        candidates = find_candidates(images, **settings)
        found = time.perf_counter()
        if not options.search_only:
            align_candidates(images, candidates)
        ends = candidates.fixed, candidates.moving
    else:
        embeddings = generate_embeddings(n_images)
        start = time.perf_counter()
        candidates = find_neighbors(embeddings, **settings)
        found = time.perf_counter()
        if not options.search_only:
            rows = range(n_images)
            count_matches(map_in_threads(draw_keypoints, rows, desc="keypoints"), candidates)
        ends = candidates.row, candidates.other_row
    end = time.perf_counter()
    pairs = set(zip(*(rows.tolist() for rows in ends), strict=True))
    copies = range(EVERY, n_images, EVERY)
    n_found = sum((copy - 1, copy) in pairs or (copy, copy - 1) in pairs for copy in copies)
    return {
        "search, s": found - start,
        "comparison, s": None if options.search_only else end - found,
        "peak, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,  # Linux: kB
        "copies found": n_found / len(copies),
    }


def generate_images(n_images):
    """Return smooth images of 5 × 5 random colours, uint8 `(n_images, SIDE, SIDE, 3)`."""
    rng = np.random.default_rng(0)
    images = np.empty((n_images, SIDE, SIDE, 3), np.uint8)
    for row, image in enumerate(images):
        if row % EVERY == 0 and row:
            image[:] = np.clip(np.rot90(images[row - 1], row // EVERY % 4)[::-1] * 1.05, 0, 255)
        else:
            colours = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            image[:] = cv2.resize(colours, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return images


def generate_embeddings(n_images):
    """Return embeddings of 1280 features, as unequal as those of a network, float16."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(n_images, 1280)).astype(np.float32) / np.arange(1, 1281) ** 0.7
    copies = np.arange(EVERY, n_images, EVERY)
    embeddings[copies] = embeddings[copies - 1] + 0.1 * embeddings[copies]
    return embeddings.astype(np.float16)


def draw_keypoints(row):
    """Return the keypoints of a generated photograph, 300 × 225 px; a copy is turned."""
    is_copy = row % EVERY == 0 and row > 0
    rng = np.random.default_rng(row - 1 if is_copy else row)
    spots = rng.integers(0, 256, (45, 60, 3), dtype=np.uint8)
    image = cv2.resize(spots, (300, 225), interpolation=cv2.INTER_CUBIC)
    return find_keypoints(np.ascontiguousarray(np.rot90(image)) if is_copy else image)


if __name__ == "__main__":
    main()
