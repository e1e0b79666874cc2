"""The evaluation of one model on one set of images.

Scores are those of the probabilities that a user gets: calibrated if the model has a temperature.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from lesions.evaluation import curves
from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.decision import score_decision
from lesions.evaluation.calibration.scores import score_calibration, score_prediction_sets
from lesions.evaluation.images.choice import why_not_scored
from lesions.evaluation.images.metadata import (
    collect_images,
    describe_bootstrap,
    describe_unscored,
)
from lesions.evaluation.intervals import score_images
from lesions.evaluation.isic_submission import isic_columns, isic_submission
from lesions.evaluation.screening import score_screening_tasks
from lesions.evaluation.subgroups import score_leakage, score_subgroups
from lesions.probabilities import apply_calibration
from lesions.taxonomy import PARTITION_NAMES, class_codes, probability_columns


def evaluate_set(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    *,
    partition: str,
    calibration: Mapping,
    malignant: Collection[str],
    excluded: Mapping[str, int],
    **settings: float,
) -> tuple[dict, dict[str, pd.DataFrame]]:
    """Return the scores of a model on a set, or why there are none; and tables to draw.

    Parameters
    ----------
    name
        Of the set.
    tables
        Arguments of `lesions.evaluation.images.metadata.collect_images`, by name.
    partition
        `evaluate.partition` of params.yaml; see `lesions.evaluation.images.choice`.
    settings
        Other arguments of `evaluate`.

    Returns
    -------
    details : dict
        As from `evaluate`, or from `describe_unscored` if the set is not scored.
    tables : dict of str to DataFrame
        As from `make_tables`; none if the set is not scored.
    """
    reason = why_not_scored(name, tables["predictions"], partition=partition)
    if reason:
        read = {key: settings[key] for key in ("confidence", "n_resamples")}
        return describe_unscored(reason, tables["labels"], excluded=excluded, **read), {}
    images = collect_images(**tables, partition=partition)
    of_model = {"calibration": calibration, "malignant": malignant}
    scores = evaluate(images, partition=partition, excluded=excluded, **of_model, **settings)
    bins = settings["calibration_bins"]
    return scores, make_tables(images, calibration_bins=bins, **of_model)


def evaluate(
    table: pd.DataFrame,
    *,
    partition: str,
    calibration: Mapping,
    malignant: Collection[str],
    excluded: Mapping[str, int],
    min_group_size: int,
    n_resamples: int,
    confidence: float,
    calibration_bins: int,
    seed: int,
) -> dict:
    """Return all scores of a model on a set of images: the content of `details.json`.

    Parameters
    ----------
    table
        The result of `lesions.evaluation.images.metadata.collect_images`.
    partition
        Whose images these are: `val` or `test`.
    malignant
        Codes of the malignant classes.
    excluded
        Diagnosis to number of its images, which `sets.<set>.source.exclude` left out.
    min_group_size
        Images; smaller subgroups are counted, not scored.
    """
    config = BootstrapConfig(n_resamples, confidence, calibration_bins, seed)
    labels, units = table["label"].to_numpy(), table["unit"].to_numpy()
    codes = class_codes(table)
    columns = probability_columns(codes)
    raw = table[columns].to_numpy()
    probabilities = apply_calibration(raw, calibration)
    calibrated = table.assign(**dict(zip(columns, probabilities.T, strict=True)))
    weights = draw_weights(labels, units, n_resamples=n_resamples, seed=seed)
    of_classes = {"codes": codes, "malignant": malignant}
    headline, classes = score_images(
        labels, probabilities, units, config, codes=codes, weights=weights
    )
    n_lesions = [table.loc[labels == label, "lesion_id"].nunique() for label in range(len(codes))]
    cells = curves.confusion_table(labels, probabilities, codes=codes)
    predicted = cells.loc[cells["n_images"] > 0, "predicted"].unique()
    referral = curves.referral_table(labels, probabilities, referred=np.arange(10) / 10)
    return {
        "partition": partition,
        "says": f"Scored on the {PARTITION_NAMES[partition]} images.",
        "n_images": len(table),
        "n_lesions": table["lesion_id"].nunique(),
        **describe_bootstrap(table, confidence=confidence, n_resamples=n_resamples),
        "excluded": dict(excluded),
        "probabilities": "not calibrated" if calibration["temperature"] is None else "calibrated",
        "headline": headline,
        "classes": {
            dx: {"n_images": row["n_images"], "n_lesions": n, **row}
            for n, (dx, row) in zip(n_lesions, classes.items(), strict=True)
        },
        "classes_without_images": [dx for dx in codes if classes[dx]["n_images"] == 0],
        "only_predicted": predicted[0] if len(predicted) == 1 else None,
        "confusion": {
            dx: rows.set_index("predicted")["n_images"].to_dict()
            for dx, rows in cells.groupby("dx", sort=False)
        },
        "decision": score_decision(
            labels, probabilities, units, calibration["decision"], weights, config, codes=codes
        ),
        "screening": score_screening_tasks(
            labels, probabilities, weights, confidence=confidence, **of_classes
        ),
        "calibration": score_calibration(labels, raw, calibration, weights, config),
        "conformal": score_prediction_sets(
            labels, probabilities, calibration, weights, config, codes=codes
        ),
        "referral": referral.to_dict("records"),
        "subgroups": score_subgroups(calibrated, config, min_group_size=min_group_size),
        "leakage": score_leakage(calibrated, config, min_group_size=min_group_size),
    }


def make_tables(
    table: pd.DataFrame,
    *,
    calibration: Mapping,
    malignant: Collection[str],
    calibration_bins: int,
) -> dict[str, pd.DataFrame]:
    """Return the tables that are written as CSV; arguments as in `evaluate`.

    Returns
    -------
    dict of str to DataFrame
        `images`: `image_id` and `unit`, a number for each unit that the bootstrap resamples;
        `roc`, `precision_recall`, `reliability`, `referral` and `confusion`, see
        `lesions.evaluation.curves`; `isic_submission`, see `lesions.evaluation.isic_submission`, if
        the classes are those of an ISIC challenge.
    """
    codes, labels = class_codes(table), table["label"].to_numpy()
    raw = table[probability_columns(codes)].to_numpy()
    of_classes = {"codes": codes, "malignant": malignant}
    probabilities = apply_calibration(raw, calibration)
    compared = {"raw": raw}
    if calibration["temperature"] is not None:
        compared["calibrated"] = probabilities
    referral = curves.referral_table(labels, probabilities, referred=np.arange(100) / 100)
    tables = {
        "images": table[["image_id"]].assign(unit=pd.factorize(table["unit"])[0]),
        "roc": curves.roc_table(labels, probabilities, **of_classes),
        "precision_recall": curves.precision_recall_table(labels, probabilities, **of_classes),
        "reliability": curves.reliability_table(labels, compared, n_bins=calibration_bins),
        "referral": referral.drop(columns="n_images"),
        "confusion": curves.confusion_table(labels, probabilities, codes=codes),
    }
    if isic_columns(codes):
        submission = isic_submission(table["image_id"], probabilities, codes=codes)
        tables["isic_submission"] = submission
    return tables
