"""All models side by side: scores with intervals, what others report, and learning curves."""

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from lesions import metrics
from lesions.bootstrap import Protocol
from lesions.calibration import apply_calibration
from lesions.paired import mcnemar, paired_differences
from lesions.predictions import take_rows
from lesions.taxonomy import CODES, PROBABILITIES

COUNTS = ("n_images", "n_lesions")
MEASURES = (*COUNTS, *metrics.MEASURES)
IN_SHORT = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")  # with their intervals
ENDS = ("low", "high")
CURVES = ("accuracy", "loss", "n_predicted_classes")  # of each epoch, see lesions.training


def compare_models(
    evaluations: Mapping[str, Mapping[str, Mapping]],
    details: Mapping[str, Mapping[str, Mapping]],
    *,
    published: Mapping[str, Mapping] | None = None,
) -> pd.DataFrame:
    """Put all models into one table.

    Parameters
    ----------
    evaluations
        Model to source to measure to number; the source is `measured`, the study's own test part,
        or `on <set>`, external photographs; all `MEASURES` are there.
    details
        Model to source to what `lesions.evaluation.evaluate` gives; of it the intervals in
        `headline`, `classes_without_images` and `confusion`.
    published
        Model to measure to number, what others report; any measure may be missing.

    Returns
    -------
    DataFrame
        `model`, `source`, `MEASURES`, for `IN_SHORT` `<measure>_low` and `<measure>_high`, and
        `n_diagnoses`, how many of the seven occur, and `only_predicted`, the one diagnosis that a
        collapsed model predicts for every image. A model's published row follows its measured
        ones; what only others have stands at the end.

    Raises
    ------
    ValueError
        If an evaluation lacks a measure.
    """
    published = dict(published or {})
    rows = []
    for model, sources in evaluations.items():
        for source, scores in sources.items():
            missing = [measure for measure in MEASURES if measure not in scores]
            if missing:
                raise ValueError(
                    f"The evaluation of every model must have {', '.join(MEASURES)}; that of "
                    f"{model} ({source}) lacks {', '.join(missing)}; run 'dvc repro'."
                )
            found = details[model][source]
            ends = {
                f"{measure}_{end}": found["headline"][measure][end]
                for measure in IN_SHORT
                for end in ENDS
            }
            more = {
                "n_diagnoses": len(CODES) - len(found["classes_without_images"]),
                "only_predicted": metrics.find_only_predicted(found["confusion"]),
            }
            rows.append({"model": model, "source": source, **scores, **ends, **more})
        if model in published:
            rows.append({"model": model, "source": "published", **published.pop(model)})
    rows += [{"model": model, "source": "published", **row} for model, row in published.items()]
    columns = ["model", "source", *MEASURES]
    columns += [f"{measure}_{end}" for measure in IN_SHORT for end in ENDS]
    kinds = dict.fromkeys(columns[2:], float) | dict.fromkeys((*COUNTS, "n_diagnoses"), "Int64")
    return pd.DataFrame(rows, columns=[*columns, "n_diagnoses", "only_predicted"]).astype(kinds)


def compare_pairs(
    predictions: Mapping[str, pd.DataFrame],
    calibrations: Mapping[str, Mapping],
    labels: pd.DataFrame,
    protocol: Protocol,
) -> list[dict]:
    """Compare each model with each on the test part.

    Parameters
    ----------
    predictions
        Model to `image_id`, `partition`, `label`, `p_akiec` to `p_vasc`.
    calibrations
        Model to what `lesions.calibration.calibrate` gives.
    labels
        Has `image_id` and `lesion_id`.
    protocol
        Of the paired bootstrap.

    Returns
    -------
    list of dict
        `model`, `other`; `measures`, see `lesions.paired.paired_differences`; `mcnemar`.

    Raises
    ------
    ValueError
        If two models were asked about different images.
    """
    tests = {model: take_rows(table).set_index("image_id") for model, table in predictions.items()}
    pairs = []
    for model, other in combinations(tests, 2):
        test = tests[model]
        if not test.index.equals(tests[other].index):
            raise ValueError(
                f"Models must be compared on the same images; the test images of {model} and of "
                f"{other} differ; run 'dvc repro'."
            )
        both = [
            apply_calibration(tests[name][list(PROBABILITIES)].to_numpy(), calibrations[name])
            for name in (model, other)
        ]
        truth = test["label"].to_numpy()
        lesions = labels.set_index("image_id")["lesion_id"].loc[test.index].to_numpy()
        pairs.append(
            {
                "model": model,
                "other": other,
                "measures": paired_differences(truth, *both, lesions, protocol),
                "mcnemar": mcnemar(truth, *both),
            }
        )
    return pairs


def in_short(table: pd.DataFrame) -> dict[str, dict]:
    """Give model to source to measure to `{"value", "low", "high"}`, `IN_SHORT` only, as measured.

    What is not defined is `None`.
    """
    short = {}
    for row in table[table["source"] != "published"].to_dict("records"):
        short.setdefault(row["model"], {})[row["source"]] = {
            measure: {
                name: None if pd.isna(value) else value
                for name, value in (
                    ("value", row[measure]),
                    *((end, row[f"{measure}_{end}"]) for end in ENDS),
                )
            }
            for measure in IN_SHORT
        }
    return short


def gather_curves(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the learning curves of all models into one long table.

    Parameters
    ----------
    curves
        Model to `epoch`, `CURVES` and, where it had a validation part, the same with `val_` before
        the name; one row an epoch.

    Returns
    -------
    DataFrame
        `model`, `partition` (`train` or `val`), `epoch`, `CURVES`.
    """
    parts = []
    for model, curve in curves.items():
        for partition, prefix in (("train", ""), ("val", "val_")):
            if f"{prefix}loss" in curve:
                part = curve[["epoch", *(f"{prefix}{name}" for name in CURVES)]]
                part = part.set_axis(["epoch", *CURVES], axis=1)
                parts.append(part.assign(model=model, partition=partition))
    return pd.concat(parts)[["model", "partition", "epoch", *CURVES]]
