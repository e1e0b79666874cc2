"""Repeat the study with other seeds or test folds, and report how much the scores vary.

Each run is a DVC experiment in this folder, so that nothing two runs share is computed twice. Run
from the repository's folder: `python tools/repeat.py N_RUNS`.
"""

from lesions.pipeline.cli import read_params

import sys
from pathlib import Path

import pandas as pd
from dvc.utils.serialize import modify_yaml
from experiments import PARAMS, dvc, experiments, restored, run_experiment

from lesions.config import Params
from lesions.pipeline.files import read_json

SCORES = Path("plots/comparison/comparison.json")
RESULTS = Path("results/repeats")


def check_folds(n_folds: int) -> None:
    """Split and balance each fold: one that is impossible must not fail after hours of training."""
    with restored("balance"):
        for fold in range(n_folds):
            with modify_yaml(PARAMS) as settings:
                settings["sets"]["study"]["split"].update(folds=n_folds, fold=fold)
            dvc("repro", "balance")


def run_all(params: Params, n_runs: int, file: Path) -> pd.DataFrame:
    """Run the study `n_runs` times; return `run, model, set` and the headline scores.

    If validation images are scored, `set` says so. The scores are written to `file` after every
    run, so that stopping loses none.
    """
    runs = {f"seed-{seed}": {"seed": seed} for seed in range(params.seed, params.seed + n_runs)}
    if params.repeat.by == "fold":
        split = "sets.study.split"
        runs = {f"fold-{k}": {f"{split}.folds": n_runs, f"{split}.fold": k} for k in range(n_runs)}
    which = ", validation images" if params.evaluate.partition == "val" else ""
    rows = []
    dvc("repro")
    with restored():
        for run, changes in runs.items():
            run_experiment(f"repeat-{params.profile}-{run}", changes)
            for model, sets in read_json(SCORES).items():
                for photographs, scores in sets.items():
                    values = {measure: score["value"] for measure, score in scores.items()}
                    rows.append({"run": run, "model": model, "set": photographs + which} | values)
            pd.DataFrame(rows).to_csv(file, index=False)
    return pd.DataFrame(rows)


def describe_spread(scores: pd.Series) -> str:
    """Return mean ± standard deviation (lowest–highest)."""
    return f"{scores.mean():.3f} ± {scores.std():.3f} ({scores.min():.3f}–{scores.max():.3f})"


def main() -> None:
    """Run, then write `results/repeats/<profile>-by-<seed|fold>.{csv,md}` and print the latter."""
    if not (sys.argv[1:] and sys.argv[1].isdecimal() and int(sys.argv[1]) > 1):
        sys.exit(f"SEEDS must be a number of runs, 2 or more; found {' '.join(sys.argv[1:])!r}")
    with experiments():
        params, n_runs = read_params(), int(sys.argv[1])
        if params.repeat.by == "seed" and params.seed + n_runs > 2**32:
            sys.exit(
                f"seed must be at most {2**32 - n_runs} for SEEDS={n_runs}; found {params.seed}"
            )
        RESULTS.mkdir(parents=True, exist_ok=True)
        stem = RESULTS / f"{params.profile}-by-{params.repeat.by}"
        if params.repeat.by == "fold":
            check_folds(n_runs)
        table = run_all(params, n_runs, Path(f"{stem}.csv"))
    models = table.drop(columns="run").groupby(["model", "set"], sort=False)
    spread = models.agg(describe_spread).assign(runs=models.size())
    text = spread.reset_index().to_markdown(index=False)
    Path(f"{stem}.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}\n\nMean ± standard deviation (lowest–highest) over the runs, in {stem}.md")


if __name__ == "__main__":
    main()
