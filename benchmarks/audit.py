"""The audit's search for near-duplicates, exact and approximate, by the number of photographs.

The photographs are invented; every tenth is another one, turned, flipped and made brighter. Each
search runs in a process of its own, so that its peak memory is its own; reading and resizing are
left out. Printed: seconds of the search for candidates (the growing part: the exponent is between
two lines) and of their close comparison, peak memory, and how many of the copies are among the
candidates. `python benchmarks/audit.py 10000 40000 100000 --search exact approximate`.
"""

import argparse
import math
import resource
import time

import cv2
import numpy as np
from side_by_side import apart, report

from lesions.alignment import align_candidates
from lesions.cores import n_workers
from lesions.descriptors import find_candidates
from lesions.duplicates import SIZE
from lesions.search import SEARCHES

EVERY = 10


def main():
    """Measure each number with each search, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", nargs="*", type=int, default=[3_000, 10_000, 30_000])
    parser.add_argument("--search", nargs="+", choices=SEARCHES, default=SEARCHES)
    parser.add_argument("--n-neighbors", type=int, default=5)
    parser.add_argument("--search-only", action="store_true")
    options = parser.parse_args()
    rows, before = [], {}
    for n_images in options.n_images:
        for search in options.search:
            row = apart(measure, n_images, search, options)
            exponent = None
            if search in before:
                other, its_seconds = before[search]
                exponent = math.log(row["search s"] / its_seconds) / math.log(n_images / other)
            before[search] = n_images, row["search s"]
            rows.append({"photographs": n_images, "search": search, **row, "exponent": exponent})
            print(rows[-1], flush=True)
    report("audit", rows, settings=vars(options))


def measure(n_images, search, options):
    """Give the seconds of both steps, the peak memory in GB, and the share of copies found."""
    images = invent(n_images)
    start = time.perf_counter()
    candidates = find_candidates(images, n_neighbors=options.n_neighbors, search=search)
    found = time.perf_counter()
    if not options.search_only:
        align_candidates(images, candidates, n_workers=n_workers())
    end = time.perf_counter()
    pairs = set(zip(candidates.fixed.tolist(), candidates.moving.tolist(), strict=True))
    copies = range(EVERY, n_images, EVERY)
    n_found = sum((copy - 1, copy) in pairs or (copy, copy - 1) in pairs for copy in copies)
    return {
        "search s": found - start,
        "comparison s": None if options.search_only else end - found,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,  # Linux: kB
        "copies found": n_found / len(copies),
    }


def invent(n_images):
    """Give smooth colours, uint8 `(n_images, SIZE, SIZE, 3)`, every tenth a copy of the one before.

    Each is made of 5 × 5 random colours.
    """
    rng = np.random.default_rng(0)
    images = np.empty((n_images, SIZE, SIZE, 3), np.uint8)
    for row, image in enumerate(images):
        if row % EVERY == 0 and row:
            image[:] = np.clip(np.rot90(images[row - 1], row // EVERY % 4)[::-1] * 1.05, 0, 255)
        else:
            seeds = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            image[:] = cv2.resize(seeds, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return images


if __name__ == "__main__":
    main()
