"""How many threads our own work may use: the one place that decides it.

TensorFlow's threads are not meant: a result depends on their number, so that it is the setting
`threads` of params.yaml. Whatever asks here gives the same result with any number.
"""

import os

VARIABLE = "LESIONS_WORKERS"


def n_workers() -> int:
    """Give the number of threads: `LESIONS_WORKERS` if it is set, else every core there is.

    `make repro JOBS=2` sets it for each of the stages that run at once, so that they share the
    cores instead of fighting over them.

    Raises
    ------
    ValueError
        If `LESIONS_WORKERS` is no positive number.
    """
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not (asked.isdigit() and int(asked) > 0):
        raise ValueError(f"{VARIABLE} must be a number of threads, 1 or more; found {asked!r}")
    return int(asked)
