"""Comparison of models: scores on every set, published baselines, pairs, learning curves."""

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.images.choice import select_images
from lesions.evaluation.intervals import measure_resamples, measures_without_interval
from lesions.evaluation.metrics import MEASURES, SUMMARY_MEASURES
from lesions.evaluation.paired import mcnemar, paired_differences
from lesions.probabilities import apply_calibration
from lesions.taxonomy import PARTITION_NAMES, class_codes, keep_adjusted, probability_columns

COUNTS = ("n_images", "n_lesions")
BOUNDS = ("low", "high")
# Short names of metrics/<model>.json to measures.
HEADLINE_METRICS = {
    "accuracy": "accuracy",
    "balanced": "balanced_accuracy",
    "f1": "f1_macro",
    "auc": "roc_auc_macro",
    "ece": "calibration_error",
}
# The same of the decision rule `prior_adjusted`, see `lesions.evaluation.calibration.decision`.
ADJUSTED_METRICS = {"accuracy_adjusted": "accuracy", "balanced_adjusted": "balanced_accuracy"}
LEARNING_CURVES = ("accuracy", "loss", "n_predicted_classes")


def compare_models(
    details: Mapping[str, Mapping[str, Mapping]],
    *,
    published: Mapping[str, Mapping] | None = None,
) -> pd.DataFrame:
    """Return the scores of all models on all sets, beside published ones.

    Parameters
    ----------
    details
        Model to set (`study` or an external set) to the result of `evaluate.evaluate`; sets that
        are not scored are left out.
    published
        Model to measure to value; any measure may be missing.

    Returns
    -------
    DataFrame
        `model`; `source`, that is `measured` for the study's test images, `measured on validation
        images`, `on <set>` for external sets, or `published`; `n_images`, `n_lesions`, `MEASURES`;
        `<measure>_low` and `<measure>_high` of `SUMMARY_MEASURES`; `accuracy_adjusted` and
        `balanced_accuracy_adjusted` with bounds, of the rule `prior_adjusted`; `n_diagnoses`,
        how many classes have images; `only_predicted`, the dx that a collapsed model predicts for
        every image. The published row of a model follows its measured ones, other published rows
        are last.
    """
    published = dict(published or {})
    rows = []
    for model, sets in details.items():
        rows += [{"model": model, **_score_row(found, name)} for name, found in sets.items()]
        if model in published:
            rows.append({"model": model, "source": "published", **published.pop(model)})
    rows += [{"model": model, "source": "published", **row} for model, row in published.items()]
    bounds = [f"{measure}_{bound}" for measure in SUMMARY_MEASURES for bound in BOUNDS]
    adjusted = [f"{measure}_adjusted" for measure in ADJUSTED_METRICS.values()]
    bounds += [name + end for name in adjusted for end in ("", *(f"_{b}" for b in BOUNDS))]
    types = dict.fromkeys(COUNTS, "Int64") | dict.fromkeys((*MEASURES, *bounds), float)
    types["n_diagnoses"] = "Int64"
    return pd.DataFrame(rows, columns=["model", "source", *types, "only_predicted"]).astype(types)


def compare_pairs(
    predictions: Mapping[str, pd.DataFrame],
    calibrations: Mapping[str, Mapping],
    images: pd.DataFrame,
    config: BootstrapConfig,
    *,
    partition: str,
) -> list[dict]:
    """Return the differences between every two models on the scored images of a set.

    Parameters
    ----------
    predictions, calibrations
        Model to `image_id`, `partition`, `label`, `p_<code>`; model to calibration.
    images
        `image_id` and `unit`, what is resampled, of the scored images.
    partition
        Whose images are scored: `val` or `test`.

    Returns
    -------
    list of dict
        `model`, `other`; `measures`, see `paired.paired_differences`; `mcnemar`, see `paired`.

    Raises
    ------
    ValueError
        If the images of two models differ.
    """
    scored = {
        model: select_images(table, partition=partition).set_index("image_id")
        for model, table in predictions.items()
    }
    first = next(iter(scored))
    for model, rows in scored.items():
        if not rows.index.equals(scored[first].index):
            raise ValueError(
                f"The {PARTITION_NAMES[partition]} images of {first} and {model} differ; run "
                "'dvc repro'"
            )
    actual = scored[first]["label"].to_numpy()
    units = images.set_index("image_id")["unit"].loc[scored[first].index].to_numpy()
    columns = probability_columns(class_codes(scored[first]))
    probabilities = {
        model: apply_calibration(rows[columns].to_numpy(), calibrations[model])
        for model, rows in scored.items()
    }
    weights = draw_weights(actual, units, n_resamples=config.n_resamples, seed=config.seed)
    measured = {
        model: measure_resamples(actual, p, weights, config) for model, p in probabilities.items()
    }
    shown = {
        "confidence": config.confidence,
        "without_interval": measures_without_interval(actual, units),
    }
    return [
        {
            "model": model,
            "other": other,
            "measures": paired_differences(measured[model], measured[other], **shown),
            "mcnemar": mcnemar(actual, probabilities[model], probabilities[other]),
        }
        for model, other in combinations(scored, 2)
    ]


def summarize(details: Mapping[str, Mapping[str, Mapping]]) -> dict[str, dict]:
    """Return model to set to `SUMMARY_MEASURES` to estimate; `details` as in `compare_models`."""
    return {
        model: {
            name: {measure: found["headline"][measure] for measure in SUMMARY_MEASURES}
            for name, found in sets.items()
        }
        for model, sets in details.items()
    }


def headline_metrics(details: Mapping) -> dict[str, float | None]:
    """Return `HEADLINE_METRICS` of one evaluation, without intervals.

    With the decision rule `prior_adjusted` also `ADJUSTED_METRICS`.
    """
    found = {name: details["headline"][m]["value"] for name, m in HEADLINE_METRICS.items()}
    adjusted = keep_adjusted(details)
    return found | {name: adjusted[m]["value"] for name, m in ADJUSTED_METRICS.items() if adjusted}


def stack_tables(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> pd.DataFrame:
    """Return the tables, model to set to table, as one with the first columns `model` and `set`."""
    keyed = {(model, name): t for model, sets in tables.items() for name, t in sets.items()}
    stacked = pd.concat(keyed, names=["model", "set"])
    return stacked.reset_index(["model", "set"]).reset_index(drop=True)


def stack_learning_curves(
    curves: Mapping[str, pd.DataFrame], *, monitored: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return `model`, `partition`, `epoch` and `LEARNING_CURVES` of all models.

    Each curve has `epoch`, `LEARNING_CURVES` and, if there are validation images, the same with the
    prefix `val_`, one row per epoch. In `monitored` are `epoch`, `test_accuracy` and `test_loss` of
    test images; rows with the partition `test` are only of models with `monitor: test`.
    """
    tables = []
    for model, curve in curves.items():
        scored = {"train": (curve, ""), "val": (curve, "val_"), "test": (monitored[model], "test_")}
        for partition, (table, prefix) in scored.items():
            if f"{prefix}loss" in table and len(table):
                columns = ["epoch", *(f"{prefix}{name}" for name in LEARNING_CURVES)]
                table = table.reindex(columns=columns).set_axis(["epoch", *LEARNING_CURVES], axis=1)
                table = table.astype({"n_predicted_classes": "Int64"})  # unknown of test images
                tables.append(table.assign(model=model, partition=partition))
    return pd.concat(tables)[["model", "partition", "epoch", *LEARNING_CURVES]]


def _score_row(found, name):
    """Return one measured row of `compare_models` without the model."""
    headline, decision = found["headline"], keep_adjusted(found)
    adjusted = {measure: decision[measure] for measure in ADJUSTED_METRICS.values() if decision}
    source = "measured" if name == "study" else f"on {name}"
    if found.get("partition") == "val":
        source = "measured on validation images"
    bounds = {f"{m}_{bound}": headline[m][bound] for m in SUMMARY_MEASURES for bound in BOUNDS}
    return {
        "source": source,
        **{count: found[count] for count in COUNTS},
        **{measure: headline[measure]["value"] for measure in MEASURES},
        **bounds,
        **{
            f"{measure}_adjusted{suffix}": estimate[bound]
            for measure, estimate in adjusted.items()
            for suffix, bound in (("", "value"), ("_low", "low"), ("_high", "high"))
        },
        "n_diagnoses": len(found["classes"]) - len(found["classes_without_images"]),
        "only_predicted": found["only_predicted"],
    }
