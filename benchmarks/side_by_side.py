"""Two implementations measured in turn: what all benchmarks here share.

Times drift with the machine's load. So each benchmark runs ours and the reference alternately, and
states the ratio of each pair. Peak memory is that of a new process.
"""

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from lesions.config.models import Training
from lesions.training.machine import describe_machine

RESULTS = Path(__file__).parent / "results"


def call_in_process(function: Callable, *arguments) -> Any:
    """Return the result of a call in a new process; `function` must be importable."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_in_process(function: Callable, *arguments) -> tuple[float, float]:
    """Return seconds and peak memory in GB of a call in a new process, its imports included.

    Memory is the peak of what is resident, above what it was before the call.
    """
    return call_in_process(_measure, function, *arguments)


def compare(
    ours: Callable[[], float], reference: Callable[[], float], *, n_pairs: int
) -> dict[str, dict[str, float]]:
    """Run both alternately, `n_pairs` times; each returns its seconds.

    Returns
    -------
    dict
        `ours` and `reference` in seconds, and `ratio`, reference / ours of each pair, as from
        `summarize`.
    """
    pairs = [(ours(), reference()) for _ in range(n_pairs)]
    return {
        "ours": summarize([first for first, _ in pairs]),
        "reference": summarize([second for _, second in pairs]),
        "ratio": summarize([second / first for first, second in pairs]),
    }


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Return `min`, `median` and `max`."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def learn_as_stage_train(**learning) -> dict:
    """Return arguments of `lesions.training.loop.train`; the last epoch is kept."""
    named = {"architecture": "any", "inputs": "images.npy", "rows": "train", "keep_epoch": "last"}
    return Training(**named, **learning).training_settings()


def time_call(function: Callable, *arguments) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def write_results(name: str, rows: Sequence[Mapping], *, settings: Mapping) -> None:
    """Print rows as a Markdown table, and write them to `results/<name>.json`.

    Parameters
    ----------
    name
        Name of the benchmark.
    rows
        One mapping per line, all with the same keys; the result of `summarize` is printed as
        median (min–max).
    settings
        What the benchmark was run with.
    """
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[_cell(value) for value in row.values()] for row in rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), flush=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    machine = describe_machine() | {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory),
    }
    content = {"machine": machine, "settings": dict(settings), "rows": [dict(row) for row in rows]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _measure(function, *arguments):
    before = _peak()
    seconds = time_call(function, *arguments)
    return seconds, _peak() - before


def _peak():
    """Return the peak memory of this process in GB.

    Not `ru_maxrss`, which starts at that of the parent process.
    """
    with open("/proc/self/status", encoding="utf-8") as lines:
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) / 1024**2


def _cell(value) -> str:
    if isinstance(value, Mapping):
        low, median, high = (_cell(value[name]) for name in ("min", "median", "max"))
        return f"{median} ({low}–{high})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
