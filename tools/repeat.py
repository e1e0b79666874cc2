"""Run the study again and again, seed or test fold moving, and tell how far the scores spread.

Every run is a DVC experiment in this folder, so nothing that two of them share runs twice, and
`dvc exp show` lists them; afterwards the folder is as it was before. Run from the repository's
folder: `python tools/repeat.py N_RUNS`.
"""

from lesions.stage import read_params, read_scores

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from lesions.balance import mixing_matrix
from lesions.comparison import IN_SHORT
from lesions.params.schema import Split
from lesions.split import partition_images
from lesions.tables import read_table

FOLDER = Path("results/repeats")
TAKEN_BACK = "what the runs had changed in this folder is taken back"


def dvc(*command: str) -> None:
    """Run DVC; raise where it fails, and on Ctrl-C once it has ended by itself."""
    with subprocess.Popen(["dvc", *command]) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C went to DVC too; killed now, it would not tidy up
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)


def settings_of(run: int, n_runs: int) -> dict[str, int]:
    """Give what run `run`, from 0, sets in `params.yaml`."""
    params = read_params()
    if params.repeat.by == "fold":
        return {"split.folds": n_runs, "split.fold": run}
    return {"seed": params.seed + run}


def check_folds(n_folds: int) -> None:
    """Split and balance for every fold, in memory; stop, before anything trains, if one cannot."""
    params = read_params()
    try:
        split = Split(**dict(params.split) | {"folds": n_folds, "fold": 0})
    except ValidationError as error:
        found = "; ".join(breach["msg"] for breach in error.errors())
        sys.exit(f"SEEDS must be a number of folds that split allows; {n_folds} is not: {found}")
    dvc("repro", "audit", "resize")
    labels, groups = (read_table(Path("data", name)) for name in ("labels.csv", "groups.csv"))
    images = np.load("data/images.npy", mmap_mode="r")
    for fold in range(n_folds):
        own = dict(split) | {"fold": fold}
        try:
            partitions = partition_images(labels, groups, seed=params.seed, **own)
            trained = np.flatnonzero(partitions["partition"] == "train")
            truth = labels["label"].to_numpy()[trained]
            mixing_matrix(images, trained, truth, seed=params.seed, **dict(params.balance))
        except ValueError as error:
            sys.exit(
                f"every fold must be possible before the first one runs; fold {fold} of "
                f"SEEDS={n_folds} is not: {error}"
            )


def run_all(n_runs: int) -> pd.DataFrame:
    """Run the study so often; give `run, model, source` and the scores `IN_SHORT`."""
    profile = read_params().profile
    runs = [settings_of(run, n_runs) for run in range(n_runs)]
    names = {run: f"repeat-{profile}-{run}" for run in range(n_runs)}
    before = f"repeat-{profile}-before"
    dvc("repro")
    remove([before, *names.values()])
    dvc("exp", "save", "--name", before)
    rows = []
    try:
        for run, settings in enumerate(runs):
            flags = [f"--set-param={key}={value}" for key, value in settings.items()]
            dvc("exp", "run", "--name", names[run], *flags)
            rows += scores_of(", ".join(f"{key} {value}" for key, value in settings.items()))
    finally:
        restore(before)
    return pd.DataFrame(rows)


def restore(before: str) -> None:
    """Bring the folder back to the experiment `before`, which goes; deaf to another Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        dvc("exp", "apply", before)
    except subprocess.CalledProcessError:
        sys.exit(
            f"the folder must become what it was before; 'dvc exp apply {before}' failed, for the "
            "reason above; mend that and run it yourself"
        )
    remove([before])


def remove(names: list[str]) -> None:
    """Remove the experiments of these names, where there are any."""
    listed = subprocess.run(
        ["dvc", "exp", "list", "--all-commits", "--name-only"],
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    known = [name for name in names if name in listed.stdout.split()]
    if known:
        dvc("exp", "remove", *known)


def scores_of(run: str) -> list[dict]:
    """Give the scores that lie in `metrics/evaluation` now, a row for each model and source."""
    scores = read_scores(Path("metrics/evaluation"), read_params())
    return [
        {"run": run, "model": model, "source": source} | {name: found[name] for name in IN_SHORT}
        for model, sources in scores.items()
        for source, found in sources.items()
    ]


def to_markdown(table: pd.DataFrame) -> str:
    """Write mean ± standard deviation (lowest to highest) of each score over the runs."""
    lines = [["model", "source", "runs", *(name.replace("_", " ") for name in IN_SHORT)]]
    lines.append(["---"] * 2 + ["---:"] * (1 + len(IN_SHORT)))
    for (model, source), rows in table.groupby(["model", "source"], sort=False):
        cells = [
            f"{rows[name].mean():.3f} ± {rows[name].std():.3f} "
            f"({rows[name].min():.3f}–{rows[name].max():.3f})"
            for name in IN_SHORT
        ]
        lines.append([model, source, str(len(rows)), *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Run, then write `results/repeats/<profile>-by-<seed|fold>.{csv,md}` and print the latter."""
    if not (sys.argv[1:] and sys.argv[1].isdecimal() and int(sys.argv[1]) > 1):
        sys.exit(f"SEEDS must be a number of runs, 2 or more; found {' '.join(sys.argv[1:])!r}")
    params, n_runs = read_params(), int(sys.argv[1])
    try:
        if params.repeat.by == "fold":
            check_folds(n_runs)
        table = run_all(n_runs)
    except KeyboardInterrupt:
        print(f"\nStopped by Ctrl-C; {TAKEN_BACK}.", file=sys.stderr)
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"\nEvery run must come to its end; '{shlex.join(error.cmd)}' ended with exit code "
            f"{error.returncode}, for the reason above; {TAKEN_BACK}; mend that and begin again."
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    stem = FOLDER / f"{params.profile}-by-{params.repeat.by}"
    table.to_csv(f"{stem}.csv", index=False)
    text = to_markdown(table)
    Path(f"{stem}.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nMean ± standard deviation (lowest–highest) over the runs, in {stem}.md")


if __name__ == "__main__":
    main()
