"""How each stage's time and memory grow with the number of photographs.

For each number a copy of the repository is made, with a study of so many small invented
photographs, one small CNN and one epoch, and every stage is run by its own command. Memory is the
peak of the process, or of this script (0.15 GB) where that is larger. Exponents are fitted to the
larger half of the numbers, where the start of Python counts least.
`python benchmarks/growth.py 1000 3000 10000`.
"""

import argparse
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from side_by_side import RESULTS, report
from study import commands, copy_repository, environment, write_photographs


def main():
    """Measure each number, print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", nargs="*", type=int, default=[1000, 3000, 10_000])
    parser.add_argument("--search", default="exact", help="audit.search")
    options = parser.parse_args()
    found = {n_images: measure(n_images, options.search) for n_images in options.n_images}
    table = pd.concat({n: pd.DataFrame(rows).T for n, rows in found.items()}, names=["n", "stage"])
    rows = [line(stage, part.droplevel("stage")) for stage, part in by_stage(table)]
    report("growth", rows, settings=vars(options))
    draw(table).savefig(RESULTS / "growth.png", metadata={"Software": None})


def measure(n_images: int, search: str) -> dict[str, dict[str, float]]:
    """Run every stage of a study of `n_images`; give its `seconds` and `gb`."""

    def small(params):
        params["data"] |= {"source": "folder", "path": "data/source/made"}
        params["audit"]["search"] = search
        cnn = params["models"]["cnn"] | {"epochs": 1, "batch_size": 64}
        cnn["head"] = {
            "filters": [8, 16],
            "dense_units": [32],
            "dropout": 0.3,
            "batch_norm_momentum": 0.9,
        }
        params["models"] = {"cnn": cnn}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_repository(folder, small)
        write_photographs(folder / "data/source/made", n_images)
        found = {}
        for stage, command in commands(folder).items():
            found[stage] = run_stage(folder, command)
            print(n_images, stage, found[stage], flush=True)
        return found


def run_stage(folder: Path, command: str) -> dict[str, float]:
    """Run a stage's command; give its seconds and its peak memory in GB."""
    log = folder / "stage.log"
    start = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=environment(folder),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(
            f"{command} failed:\n{log.read_text(errors='replace', encoding='utf-8')[-3000:]}"
        )
    return {"seconds": time.perf_counter() - start, "gb": usage.ru_maxrss / 1024**2}


def by_stage(table):
    """Give each stage's rows, in the order of the pipeline."""
    return table.groupby("stage", sort=False)


def line(stage: str, part: pd.DataFrame) -> dict:
    """Give a stage's line of the table: its values at the largest number, and both exponents."""
    large = part.iloc[len(part) // 2 - (len(part) % 2 == 0) :]
    last = part.iloc[-1]
    return {
        "stage": stage,
        **{f"{n:,}: s": row["seconds"] for n, row in part.iterrows()},
        "peak GB": last["gb"],
        "exponent of time": exponent(large["seconds"]),
        "exponent of memory": exponent(large["gb"]),
    }


def exponent(values: pd.Series) -> float | None:
    """Give the slope of the values over their index, both in logarithms."""
    if len(values) < 2:
        return None
    return float(np.polyfit(np.log(values.index), np.log(values.astype(float)), 1)[0])


def draw(table: pd.DataFrame) -> Figure:
    """Draw seconds and memory over the number of photographs, a line a stage."""
    figure = Figure(figsize=(11, 4.6), dpi=100, layout="constrained")
    for place, (column, unit) in zip(
        figure.subplots(1, 2), (("seconds", "seconds"), ("gb", "peak memory, GB")), strict=True
    ):
        for number, (stage, part) in enumerate(by_stage(table)):
            style = ("-", "--", ":")[number // 10 % 3]
            numbers = part.index.get_level_values("n")
            place.plot(numbers, part[column], marker=".", linestyle=style, label=stage)
        place.set(xscale="log", yscale="log", xlabel="photographs", ylabel=unit)
        place.grid(alpha=0.3)
    figure.legend(*place.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


if __name__ == "__main__":
    main()
