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
from lesions.evaluation.calibration.conformal import is_covered, pooled_coverage_range
from lesions.pipeline.files import read_json, read_table
from lesions.probabilities import apply_calibration, prediction_sets
from lesions.taxonomy import probability_columns

EVALUATION = Path("evaluation")
RESULTS = Path("results/repeats")


def check_folds(n_folds: int) -> None:
    """Split and balance each fold: one that is impossible must not fail after hours of training."""
    with restored("balance"):
        for fold in range(n_folds):
            with modify_yaml(PARAMS) as settings:
                settings["sets"]["study"]["split"].update(folds=n_folds, fold=fold)
            dvc("repro", "balance")


def run_all(params: Params, n_runs: int, file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the study `n_runs` times; return the rows of `read_scores`, with `run`.

    They are written to `file` after every run, so that stopping loses none. So are, by fold, those
    of `count_covered`.
    """
    runs = {f"seed-{seed}": {"seed": seed} for seed in range(params.seed, params.seed + n_runs)}
    if params.repeat.by == "fold":
        split = "sets.study.split"
        runs = {f"fold-{k}": {f"{split}.folds": n_runs, f"{split}.fold": k} for k in range(n_runs)}
    rows, covered = [], []
    dvc("repro")
    with restored():
        for run, changes in runs.items():
            run_experiment(f"repeat-{params.profile}-{run}", changes)
            rows += [{"run": run} | row for row in read_scores(params)]
            pd.DataFrame(rows).to_csv(file, index=False)
            if params.repeat.by == "fold":
                covered += [{"run": run} | row for row in count_covered(params)]
                pd.DataFrame(covered).to_csv(file.with_suffix(".coverage.csv"), index=False)
    return pd.DataFrame(rows), pd.DataFrame(covered)


def read_scores(params: Params) -> list[dict]:
    """Return `model`, `set` and the scores of every model on every set that is scored.

    If validation images are scored, `set` says so.
    """
    which = ", validation images" if params.evaluate.partition == "val" else ""
    rows = []
    for model in [*params.models, *params.ensembles]:
        for name in params.sets:
            details = read_json(EVALUATION / name / model / "details.json")
            scores = {key: score["value"] for key, score in details.get("headline", {}).items()}
            if scores:
                rows.append({"model": model, "set": name + which} | scores)
    return rows


def count_covered(params: Params) -> list[dict]:
    """Count the study's scored images, and those whose class-conditional set has the diagnosis.

    Returns
    -------
    list of dict
        `model`, `dx`, `n_calibration`, `n_images`, `n_covered`; none of models without sets.
    """
    rows = []
    for model in [*params.models, *params.ensembles]:
        calibration = read_json(EVALUATION / f"calibration/{model}.json")
        if calibration["conformal"] is None:
            continue
        table = read_table(Path(f"predictions/study/{model}.csv"))
        table = table[table["partition"] == params.evaluate.partition]
        raw = table[probability_columns(params.classes.codes)].to_numpy()
        sets = prediction_sets(apply_calibration(raw, calibration), calibration["conformal"])
        labels = table["label"].to_numpy()
        covered = is_covered(labels, sets["class_conditional"])
        for label, (dx, fitted) in enumerate(calibration["conformal"]["classes"].items()):
            found = covered[labels == label]
            counts = {"n_calibration": fitted["n_images"], "n_images": len(found)}
            rows.append({"model": model, "dx": dx} | counts | {"n_covered": int(found.sum())})
    return rows


def pool_coverage(covered: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the coverage of all folds together, and where it should be, for each diagnosis.

    `expected` is an interval for each diagnosis that together hold with `evaluate.confidence`
    (Bonferroni). A diagnosis without images has no row.
    """
    confidence = 1 - (1 - params.evaluate.confidence) / len(params.classes.codes)
    options = {"coverage": params.calibrate.coverage, "confidence": confidence}
    rows = []
    for (model, dx), folds in covered[covered["n_images"] > 0].groupby(["model", "dx"]):
        n_images = folds["n_images"].sum()
        pooled = folds["n_covered"].sum() / n_images
        low, high = pooled_coverage_range(folds["n_calibration"], folds["n_images"], **options)
        expected = {"expected": f"{low:.3f}–{high:.3f}", "within": low <= pooled <= high}
        rows.append({"model": model, "dx": dx, "images": n_images, "coverage": pooled} | expected)
    return pd.DataFrame(rows)


def describe_spread(scores: pd.Series) -> str:
    """Return mean ± standard deviation (lowest–highest); a dash if a run has no such score."""
    if scores.isna().any():
        return f"– (in {scores.notna().sum()} of {len(scores)} runs)"
    scores = scores + 0.0  # no negative zero
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
        table, covered = run_all(params, n_runs, Path(f"{stem}.csv"))
    models = table.drop(columns="run").groupby(["model", "set"], sort=False)
    spread = models.agg(describe_spread).assign(runs=models.size()).T
    spread.columns = [", ".join(names) for names in spread.columns]
    text = "Mean ± standard deviation (lowest–highest) over the runs\n\n" + spread.to_markdown()
    if len(covered):
        pooled = pool_coverage(covered, params).to_markdown(index=False, floatfmt=".3f")
        text += f"\n\nCoverage of class-conditional sets, all folds together\n\n{pooled}"
    Path(f"{stem}.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}\n\nin {stem}.md")


if __name__ == "__main__":
    main()
