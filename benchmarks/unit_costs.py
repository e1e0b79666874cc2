"""What the work of each stage costs on this machine: the numbers behind `make plan`.

Studies of different sizes are run, every stage by its own command. How much each stage had to do is
counted as `make plan` counts it (`tools/work.py`), and its costs are those, none negative, with
which the counts come nearest to the seconds, in proportion to these. They are written to
`tools/costs.yaml`; so are those of memory, in GB.

The photographs of most studies are small and invented; those of `originals` have the size and the
quality of HAM10000's. `python benchmarks/unit_costs.py` takes half an hour; other work on the
machine makes the costs too high, so every study is run in two passes.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from growth import run_stage
from resize import write_photographs as write_originals
from scipy.optimize import nnls
from side_by_side import RESULTS, apart, machine
from study import ROOT, commands, copy_repository, write_photographs

from lesions.params import read_params

sys.path.append(str(ROOT / "tools"))
from work import list_jobs, read_cohort

COSTS = ROOT / "tools/costs.yaml"
MADE = "data/source/made"
DATA = ("ingest", "explore", "encode", "resize", "audit")


def main():
    """Run every study, fit the costs of each stage, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=2, help="of which each stage's faster counts")
    options = parser.parse_args()
    rows = []
    for _ in range(options.passes):
        for name, (write, edit, stages) in STUDIES.items():
            measured = measure(write, edit, stages)
            print(name, pd.DataFrame(measured)[["stage", "seconds", "gb"]].to_string(), flush=True)
            rows += [{"study": name} | row for row in measured]
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine(), "settings": vars(options), "rows": rows}
    (RESULTS / "unit_costs.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_costs(pd.DataFrame(rows))


def write_costs(measured: pd.DataFrame) -> None:
    """Fit and write the costs: of the seconds of a stage in one study, the least."""
    fastest = measured.sort_values("seconds", kind="stable").drop_duplicates(["study", "stage"])
    costs = {"machine": machine(), "seconds": {}, "gb": {}}
    for stage in measured["costs"].unique():
        part = fastest[fastest["costs"] == stage]
        costs["seconds"][stage] = fit(part["work"], part["seconds"])
        costs["gb"][stage] = fit(part["memory"], part["gb"])
    text = yaml.safe_dump(costs, sort_keys=False)
    COSTS.write_text(
        f"# What a unit of work takes; written by benchmarks/unit_costs.py.\n{text}",
        encoding="utf-8",
    )


def measure(write: Callable | None, edit: Callable, stages: tuple[str, ...]) -> list[dict]:
    """Run a study; give of each stage its work, its `seconds` and its `gb`."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        copy_repository(folder, edit)
        if write:
            write(folder / MADE)
        params = read_params(folder / "params.yaml")
        jobs = {job.stage: job for job in list_jobs(params, read_cohort(params))}
        rows = []
        for stage, command in commands(folder).items():
            if not stages or stage in stages:
                ((costs, work),) = jobs[stage].work.items()
                row = {"stage": stage, "costs": costs, "work": dict(work)}
                row["memory"] = dict(jobs[stage].memory)
                rows.append(row | run_stage(folder, command))
        return rows


def fit(work: pd.Series, measured: pd.Series) -> dict[str, float]:
    """Give what the `start` and a unit of each kind of work take."""
    amounts = pd.DataFrame(work.tolist()).fillna(0.0)
    amounts.insert(0, "start", 1.0)
    amounts = amounts.loc[:, amounts.any()]
    scale = amounts.max()
    found, _ = nnls((amounts / scale).div(measured.to_numpy(), axis=0), np.ones(len(measured)))
    return {unit: float(f"{one:.3g}") for unit, one in zip(amounts, found / scale, strict=True)}


def small_photographs(n_images: int) -> Callable[[Path], None]:
    """Give what writes so many small invented photographs into a folder."""
    return lambda folder: write_photographs(folder, n_images)


def originals(*, packed: bool) -> Callable[[Path], None]:
    """Give what writes photographs of the originals' size and quality, in an archive or not."""

    def write(folder: Path) -> None:
        write_photographs(folder, 700)  # for its metadata; what it drew is replaced
        names = sorted((folder / "images").iterdir())
        with tempfile.TemporaryDirectory(dir=folder.parent) as drawn:
            for file, name in zip(apart(write_originals, drawn, 700, 100), names, strict=True):
                Path(file).replace(name)
        if packed:
            with zipfile.ZipFile(folder / "HAM10000_images_part_1.zip", "w") as archive:
                for name in names:
                    archive.write(name, name.name)
                    name.unlink()

    return write


def settings(
    *, size: int = 32, decode: str = "full", epochs: int = 3, models: Mapping[str, Mapping]
) -> Callable[[dict], None]:
    """Give what alters params.yaml: its photographs are ours, its models those named here."""

    def edit(params: dict) -> None:
        params["data"] |= {"source": "folder", "path": MADE}
        params["resize"] |= {"pixels": size, "decode": decode}
        params["models"] = {
            name: params["models"][name] | {"input_size": size, "epochs": epochs} | model
            for name, model in models.items()
        }

    return edit


def drawn(params: dict) -> None:
    """Let fewer photographs be drawn than for the demonstration."""
    params["data"]["n_images"] = 400


WIDE = {"head": {"dense_units": [512, 256], "dropout": 0.0}}
ALL = {"cnn": {}, "vgg16": {}, "resnet50": {}}
# What writes the photographs, what alters the settings, and the stages to run; none: all.
STUDIES = {
    "few": (small_photographs(300), settings(models=ALL), ()),
    "large": (small_photographs(1200), settings(size=64, epochs=2, models=ALL), ()),
    "small batches": (
        small_photographs(3000),
        settings(models={"cnn": {"batch_size": 8, "epochs": 1}, "vgg16": WIDE, "resnet50": WIDE}),
        (),
    ),
    "many": (
        small_photographs(20_000),
        settings(epochs=1, models={"cnn": {"batch_size": 64}}),
        (),
    ),
    "originals": (originals(packed=True), settings(decode="reduced", models=ALL), DATA),
    "originals, full": (originals(packed=False), settings(models=ALL), DATA),
    "drawn": (None, drawn, DATA),
}


if __name__ == "__main__":
    main()
