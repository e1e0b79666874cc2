"""Hold every model of the study against one that is trained with several seeds: an ablation.

Models with the same settings but for `seed` are runs of one model; the model with the most runs is
the base. All scores are of validation images. Run from the repository's folder:
`python tools/ablation.py`.
"""

from lesions.pipeline.cli import read_params

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from experiments import dvc, experiments, restored, run_experiment
from scipy.stats import t

from lesions.config import Params
from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.decision import measure_decision
from lesions.evaluation.images.choice import select_images
from lesions.evaluation.intervals import measure_resamples, measures_without_interval
from lesions.evaluation.paired import paired_differences
from lesions.pipeline.files import read_json, read_table
from lesions.probabilities import apply_calibration, decide
from lesions.taxonomy import keep_adjusted, probability_columns

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc_macro": "ROC AUC",
}
RESULTS = Path("results/ablations")


class Study:
    """The scores of models on the resamples of the study's scored images."""

    def __init__(self, params: Params, model: str):
        settings = params.evaluate
        self.codes = params.classes.codes
        self.config = BootstrapConfig(
            settings.n_resamples, settings.confidence, settings.calibration_bins, params.seed
        )
        images = read_table(Path(f"evaluation/study/{model}/images.csv"))
        self.images = images.set_index("image_id")
        self.labels = self._read(model)["label"].to_numpy()
        self.units = self.images["unit"].to_numpy()
        n_resamples, seed = self.config.n_resamples, self.config.seed
        self.weights = draw_weights(self.labels, self.units, n_resamples=n_resamples, seed=seed)

    def measure(self, models: Sequence[str], *, adjusted: bool = False) -> list[dict]:
        """Return the measures of each model, of the rule `prior_adjusted` if `adjusted`."""
        found = []
        for model in models:
            calibration = read_json(Path(f"evaluation/calibration/{model}.json"))
            raw = self._read(model)[probability_columns(self.codes)].to_numpy()
            probabilities = apply_calibration(raw, calibration)
            if adjusted:
                rule = calibration["decision"]
                priors = np.array([rule["priors"][dx] for dx in self.codes])
                predicted = decide(probabilities, priors, exponent=rule["exponent"])
                of_rule = (self.labels, predicted, self.weights)
                found.append(measure_decision(*of_rule, n_classes=len(self.codes)))
            else:
                found.append(
                    measure_resamples(self.labels, probabilities, self.weights, self.config)
                )
        return found

    def compare(self, found: Sequence[Mapping], base: Sequence[Mapping]) -> dict[str, dict]:
        """Return the differences between the means of two models' runs, see `paired`."""
        both = [
            {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}
            for runs in (found, base)
        ]
        excluded = measures_without_interval(self.labels, self.units)
        return paired_differences(
            *both, confidence=self.config.confidence, without_interval=excluded
        )

    def _read(self, model):
        table = read_table(Path(f"predictions/study/{model}.csv"))
        return select_images(table, partition="val").set_index("image_id").loc[self.images.index]


def group_runs(params: Params) -> list[list[str]]:
    """Return the names of the models, runs of one model together; first the base, then in order.

    Raises
    ------
    ValueError
        If no model has two runs, or test images would be scored.
    """
    if params.evaluate.partition != "val":
        raise ValueError(
            "evaluate.partition is test, but an ablation is for choosing settings, which must not "
            "be done on test images; set it to val"
        )
    groups = {}
    for name, model in params.models.items():
        groups.setdefault(repr(model.model_dump(exclude={"seed"})), []).append(name)
    base = max(groups.values(), key=len)
    if len(base) < 2:
        raise ValueError(
            "models: no two models differ in nothing but seed, so that there is no base whose "
            "spread differences can be held against; add some with other seeds"
        )
    return [base, *(names for names in groups.values() if names is not base)]


def describe_change(model: Mapping, base: Mapping) -> str:
    """Write the settings of a model that the base lacks or has otherwise."""
    missing = object()
    changed = {key: value for key, value in model.items() if base.get(key, missing) != value}
    written = {key: json.dumps(value).replace('"', "") for key, value in changed.items()}
    return ", ".join(f"{key}: {value}" for key, value in written.items() if key != "seed")


def compare_all(params: Params) -> pd.DataFrame:
    """Train all models; return a row for each `change` and measure.

    Columns are `change`, `n_runs`, `measure`, `value`, `difference` from the base, `low` and `high`
    of its interval, `noise` and `real`. The noise is how far the mean of so many runs is from the
    base's mean by chance of the seed alone (the half-width of a prediction interval by Student's t
    from the standard deviation of the base's runs). A difference is real if its interval excludes 0
    and it is larger than the noise.
    """
    dvc("repro")
    names, *others = group_runs(params)
    study = Study(params, names[0])
    base = study.measure(names)
    rows = []

    def add(change, found, *, same_trainings=False):
        differences = study.compare(found, base)
        for measure in MEASURES:
            if measure not in differences:
                continue
            row = differences[measure]
            spread = np.std([run[measure][0] for run in base], ddof=1)
            factor = t.ppf((1 + study.config.confidence) / 2, len(base) - 1)
            noise = (
                0 if same_trainings else factor * spread * np.sqrt(1 / len(found) + 1 / len(base))
            )
            rows.append(
                {
                    "change": change,
                    "n_runs": len(found),
                    "measure": measure,
                    "value": np.mean([run[measure][0] for run in found]),
                    "difference": row["difference"],
                    "low": row["low"],
                    "high": row["high"],
                    "noise": noise,
                    "real": row["real"] and abs(row["difference"]) > noise,
                }
            )

    settings = {name: model.model_dump() for name, model in params.models.items()}
    for group in others:
        add(describe_change(settings[group[0]], settings[names[0]]), study.measure(group))
    for name, ensemble in params.ensembles.items():
        what = f"ensemble of {', '.join(ensemble.models)}; weights: {ensemble.weights}"
        add(what, study.measure([name]))
    if keep_adjusted(read_json(Path(f"evaluation/study/{names[0]}/details.json"))):
        adjusted = study.measure(names, adjusted=True)
        add("calibrate.decision: prior_adjusted", adjusted, same_trainings=True)
    predicting = [f"calibrate@{name}" for name in names]  # and the stages that these need
    with restored(*predicting):
        for tta in ("none", "flips", "dihedral"):
            if tta != params.predict.tta:
                run = f"ablation-{params.profile}-tta-{tta}"
                run_experiment(run, {"predict.tta": tta}, *predicting)
                add(f"predict.tta: {tta}", study.measure(names), same_trainings=True)
    found = {measure: [run[measure][0] for run in base] for measure in MEASURES}
    first = [
        {"change": "", "n_runs": len(base), "measure": measure, "value": np.mean(values)}
        | {"spread": np.std(values, ddof=1)}
        for measure, values in found.items()
    ]
    return pd.DataFrame(first + rows)


def to_markdown(table: pd.DataFrame, params: Params) -> str:
    """Write the table: a row for each change, real differences in bold."""
    lines = []
    for change, rows in table.groupby("change", sort=False):
        line = {"change": change or "base", "runs": rows["n_runs"].iloc[0]}
        for row in rows.to_dict("records"):
            if change:
                known = pd.notna(row["low"])
                interval = (
                    f"({row['low']:+.3f} to {row['high']:+.3f})" if known else "(no interval)"
                )
                text = f"{row['difference']:+.3f}"
                text = f"{f'**{text}**' if row['real'] else text} {interval}"
            else:
                text = f"{row['value']:.3f} ± {row['spread']:.3f}"
            line[MEASURES[row["measure"]]] = text
        lines.append(line)
    level = f"{100 * params.evaluate.confidence:g} %"
    note = (
        "Scores on the validation images. Of the base: the mean ± standard deviation over its "
        "runs. Below: differences from this mean, with a bootstrap interval "
        f"({level}) over images. Bold: the interval excludes 0, and the difference is larger than "
        f"another seed alone makes in {level} of trainings. Not corrected for the number of rows."
    )
    text = pd.DataFrame(lines).fillna("–").to_markdown(index=False, disable_numparse=True)
    return f"{text}\n\n{note}\n"


def main() -> None:
    """Run, then write `results/ablations/<profile>.{csv,md}` and print the latter."""
    params = read_params()
    try:
        group_runs(params)
    except ValueError as error:
        sys.exit(str(error))
    with experiments():
        table = compare_all(params)
    RESULTS.mkdir(parents=True, exist_ok=True)
    table.to_csv(RESULTS / f"{params.profile}.csv", index=False)
    text = to_markdown(table, params)
    (RESULTS / f"{params.profile}.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
