"""Two ways to do one thing, measured in turn: what all benchmarks here share.

A time alone says little, since the machine drifts. So each benchmark runs both ways in turn, ours
and the other, and states the ratio of each pair. Peak memory is that of a process of its own.
"""

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def measure(function: Callable, *arguments) -> tuple[float, float]:
    """Give the seconds and the peak memory in GB of a call in a process of its own.

    The process is started anew, so the call pays for its own imports, and `function` must be
    importable. Memory is what is resident at the peak, above what it was before the call.

    Raises
    ------
    Exception
        What the call raises.
    """
    return apart(_timed, function, *arguments)


def apart(function: Callable, *arguments) -> Any:
    """Give what a call in a process of its own, started anew, gives."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def compare(
    ours: Callable[[], float], other: Callable[[], float], *, n_pairs: int
) -> dict[str, dict[str, float]]:
    """Run both in turn, `n_pairs` times.

    Parameters
    ----------
    ours, other
        Do their work once and give its seconds, see `seconds`.

    Returns
    -------
    dict
        `ours` and `other` in seconds, and `ratio`, other / ours pair by pair; of each `min`,
        `median` and `max`.
    """
    pairs = [(ours(), other()) for _ in range(n_pairs)]
    columns = {
        "ours": [pair[0] for pair in pairs],
        "other": [pair[1] for pair in pairs],
        "ratio": [pair[1] / pair[0] for pair in pairs],
    }
    return {name: spread(values) for name, values in columns.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Give `min`, `median` and `max`."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def seconds(function: Callable, *arguments) -> float:
    """Give the seconds of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def report(name: str, rows: Sequence[Mapping], *, settings: Mapping) -> None:
    """Print rows as a table in Markdown and write them to `results/<name>.json`.

    Parameters
    ----------
    name
        Of the benchmark.
    rows
        One mapping a line, all of the same keys; a number with `min`, `median` and `max` is printed
        as median (min–max).
    settings
        What the benchmark was run with.
    """
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[_cell(value) for value in row.values()] for row in rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), flush=True)
    content = {"machine": machine(), "settings": dict(settings), "rows": [dict(r) for r in rows]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, str | int]:
    """Say in words where this runs: processor, cores, memory, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def _timed(function, *arguments):
    before = _peak()
    elapsed = seconds(function, *arguments)
    return elapsed, _peak() - before


def _peak():
    """Give the peak memory of this process, GB.

    Not `ru_maxrss`, with which a process begins where the one that started it stood.
    """
    with open("/proc/self/status", encoding="utf-8") as lines:
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) / 1024**2


def _cell(value) -> str:
    if isinstance(value, Mapping):
        low, middle, high = (_cell(value[name]) for name in ("min", "median", "max"))
        return f"{middle} ({low}–{high})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
