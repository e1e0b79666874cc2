"""Time and peak memory of the audit's search on invented photographs, by their number.

Each number runs in a process of its own, so that its peak memory is its own; reading and resizing
the photographs is left out. `python benchmarks/audit.py` takes 10,000 and 40,000; name other
numbers as arguments. `--search-only` leaves out the close comparison, which takes a time in
proportion to the number of photographs; the search's grows with its square.
"""

import argparse
import math
import multiprocessing
import resource
import time

import cv2
import numpy as np

from lesions.alignment import align_candidates
from lesions.descriptors import find_candidates
from lesions.duplicates import SIZE


def main():
    """Measure each number named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", nargs="*", type=int, default=[10_000, 40_000])
    parser.add_argument("--n-neighbors", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--search-only", action="store_true")
    options = parser.parse_args()
    print(f"{'photographs':>12} {'search s':>9} {'compare s':>10} {'peak GB':>8} {'exponent':>9}")
    before = None
    for n_images in options.n_images:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            search, compare, peak = pool.apply(measure, (n_images, options))
        exponent = ""
        if before:
            exponent = f"{math.log(search / before[1]) / math.log(n_images / before[0]):.2f}"
        before = n_images, search
        print(f"{n_images:12,} {search:9.1f} {compare:10.1f} {peak:8.2f} {exponent:>9}", flush=True)


def measure(n_images, options):
    """Give the seconds of the search and of the comparison, and the peak memory in GB."""
    images = invent(n_images)
    start = time.perf_counter()
    candidates = find_candidates(images, n_neighbors=options.n_neighbors)
    found = time.perf_counter()
    if not options.search_only:
        align_candidates(images, candidates, n_workers=options.workers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # Linux gives kB
    return found - start, time.perf_counter() - found, peak


def invent(n_images):
    """Give smooth colours, uint8 `(n_images, SIZE, SIZE, 3)`, each from 5 × 5 random ones."""
    rng = np.random.default_rng(0)
    images = np.empty((n_images, SIZE, SIZE, 3), np.uint8)
    for image in images:
        seeds = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        image[:] = cv2.resize(seeds, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return images


if __name__ == "__main__":
    main()
