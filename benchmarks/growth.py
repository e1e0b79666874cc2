"""How each stage's time and memory grow with the number of photographs.

For each number a copy of the repository is made, with a study of so many small generated
photographs, one small CNN and one epoch, and every stage is run by its own command. Memory is the
peak of the process, or of this script (0.15 GB) where that is larger. Exponents are fitted to the
larger half of the numbers, where the start of Python matters least.
`python benchmarks/growth.py 1000 3000 10000`.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from side_by_side import RESULTS, write_results
from study import copy_repository, environment, list_commands

SMALL_CNN = {"epochs": 1, "batch_size": 64, "filters": [8, 16], "dense_units": [32]}
UNITS = {"seconds": "seconds", "gb": "peak memory, GB"}


def main():
    """Measure each number, print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", nargs="*", type=int, default=[1000, 3000, 10_000])
    parser.add_argument("--search", default="exact", help="audit.search")
    options = parser.parse_args()
    found = {n_images: measure(n_images, options.search) for n_images in options.n_images}
    table = pd.concat({n: pd.DataFrame(rows).T for n, rows in found.items()}, names=["n", "stage"])
    stages = {stage: rows.droplevel("stage") for stage, rows in table.groupby("stage", sort=False)}
    rows = [make_row(stage, rows) for stage, rows in stages.items()]
    write_results("growth", rows, settings=vars(options))
    draw(stages).savefig(RESULTS / "growth.png", metadata={"Software": None})


def measure(n_images: int, search: str) -> dict[str, dict[str, float]]:
    """Run every stage of a study of `n_images`; return its `seconds` and `gb`."""

    def shrink(params):
        params["audit"]["search"] = search
        params["backbones"] = {}
        params["models"] = {"cnn": params["models"]["cnn"] | SMALL_CNN}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_repository(folder, n_images, shrink)
        found = {}
        for stage, command in list_commands(folder).items():
            found[stage] = run_stage(folder, command)
            print(n_images, stage, found[stage], flush=True)
        return found


def run_stage(folder: Path, command: str) -> dict[str, float]:
    """Run a stage's command; return its seconds and its peak memory in GB."""
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, shell=True, cwd=folder, env=environment(), stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            log.seek(0)
            printed = log.read().decode(errors="replace")
            raise RuntimeError(f"{command} failed:\n{printed[-3000:]}")
    return {"seconds": seconds, "gb": usage.ru_maxrss / 1024**2}


def make_row(stage: str, rows: pd.DataFrame) -> dict:
    """Return a stage's line of the table: seconds, peak memory, and both exponents."""
    large = rows.iloc[(len(rows) - 1) // 2 :]
    return {
        "stage": stage,
        **{f"{n:,}: s": row["seconds"] for n, row in rows.iterrows()},
        "peak, GB": rows["gb"].iloc[-1],
        "exponent of time": fit_exponent(large["seconds"]),
        "exponent of memory": fit_exponent(large["gb"]),
    }


def fit_exponent(values: pd.Series) -> float | None:
    """Return the slope of the values over their index, both in logarithms."""
    if len(values) < 2:
        return None
    return float(np.polyfit(np.log(values.index), np.log(values.astype(float)), 1)[0])


def draw(stages: dict[str, pd.DataFrame]) -> Figure:
    """Draw seconds and memory over the number of photographs, a line per stage."""
    figure = Figure(figsize=(11, 4.6), dpi=100, layout="constrained")
    for axes, (column, label) in zip(figure.subplots(1, 2), UNITS.items(), strict=True):
        for number, (stage, rows) in enumerate(stages.items()):
            style = ("-", "--", ":")[number // 10 % 3]
            axes.plot(rows.index, rows[column], marker=".", linestyle=style, label=stage)
        axes.set(xscale="log", yscale="log", xlabel="photographs", ylabel=label)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


if __name__ == "__main__":
    main()
