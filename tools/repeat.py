"""Run the study again and again, seed or test fold moving, and tell how far the scores spread.

Every run is a DVC experiment in this folder, so nothing that two of them share runs twice, and
`dvc exp show` lists them; afterwards the folder is as it was before. Run from the repository's
folder: `python tools/repeat.py N_RUNS`.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from lesions.comparison import IN_SHORT
from lesions.stage import read_params, read_scores

FOLDER = Path("results/repeats")


def dvc(*command: str) -> None:
    """Run DVC; stop where it fails."""
    subprocess.run(["dvc", *command], check=True)


def settings_of(run: int, n_runs: int) -> dict[str, int]:
    """Give what run `run`, from 0, sets in `params.yaml`."""
    params = read_params()
    if params.repeat.by == "fold":
        return {"split.folds": n_runs, "split.fold": run}
    return {"seed": params.seed + run}


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
        dvc("exp", "apply", before)
        remove([before])
    return pd.DataFrame(rows)


def remove(names: list[str]) -> None:
    """Remove the experiments of these names, where there are any."""
    listed = subprocess.run(
        ["dvc", "exp", "list", "--all-commits", "--name-only"], check=True, capture_output=True
    ).stdout.decode()
    known = [name for name in names if name in listed.split()]
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
    if not (sys.argv[1:] and sys.argv[1].isdigit() and int(sys.argv[1]) > 1):
        sys.exit(f"SEEDS must be a number of runs, 2 or more; found {' '.join(sys.argv[1:])!r}")
    params = read_params()
    if params.repeat.by == "fold" and params.split.by == "column":
        sys.exit("repeat.by: fold needs split.by: image, lesion or group; it is column")
    table = run_all(int(sys.argv[1]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    stem = FOLDER / f"{params.profile}-by-{params.repeat.by}"
    table.to_csv(f"{stem}.csv", index=False)
    text = to_markdown(table)
    Path(f"{stem}.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nMean ± standard deviation (lowest–highest) over the runs, in {stem}.md")


if __name__ == "__main__":
    main()
