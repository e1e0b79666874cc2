"""Our own threads, on the number of which no result depends.

Results depend on the number of TensorFlow's threads, which is the setting `threads`.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

VARIABLE = "LESIONS_WORKERS"
CHUNK = 16  # items that a thread takes at a time


def n_workers() -> int:
    """Return the number of threads: `LESIONS_WORKERS` if set, else the number of usable cores.

    Raises
    ------
    ValueError
        If `LESIONS_WORKERS` is not a positive integer.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not (value.isdigit() and int(value) > 0):
        raise ValueError(f"{VARIABLE} is {value!r}; set it to a number of threads, at least 1")
    return int(value)


def map_in_threads(
    function: Callable, items: Sequence, *, desc: str | None, unit: str = "image", **options
) -> list:
    """Return the result of `function` for each item, computed in `n_workers` threads.

    Meanwhile OpenCV has one thread. `desc`, `unit` and `options` are those of the progress bar;
    with `desc` None there is none.
    """
    import cv2  # changes LD_LIBRARY_PATH, which `lesions.pipeline.parallel` hands on to stages
    from tqdm import tqdm  # takes as long to import as the command `lesions` to decode a photograph

    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    hidden = True if desc is None else None  # None: shown on a terminal
    bar = tqdm(total=len(items), desc=desc, unit=unit, disable=hidden, **options)
    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # our threads share the cores already
    results = []
    try:
        with ThreadPoolExecutor(n_workers()) as workers, bar:
            for found in workers.map(lambda chunk: [function(item) for item in chunk], chunks):
                results += found
                bar.update(len(found))
    finally:
        cv2.setNumThreads(n_threads)
    return results
