"""The evaluation of one model on one set of images.

Scores are those of the probabilities that a user gets: calibrated if the model has a temperature.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesions.evaluation import curves
from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.calibrate import apply_calibration
from lesions.evaluation.calibration.scores import score_calibration, score_prediction_sets
from lesions.evaluation.intervals import score_images
from lesions.evaluation.predictions import isic_submission, select_test
from lesions.evaluation.screening import score_screening_tasks
from lesions.evaluation.subgroups import age_bands, fill_unknown, score_leakage, score_subgroups
from lesions.taxonomy import CODES, PROBABILITIES


def collect_test_images(
    predictions: pd.DataFrame, labels: pd.DataFrame, groups: pd.DataFrame, partitions: pd.DataFrame
) -> pd.DataFrame:
    """Return the predictions on the test images with the metadata that the evaluation needs.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_akiec` to `p_vasc`.
    labels
        Has `image_id`, `label`, `lesion_id`, `age`, `sex`, `localization`, `dx_type`.
    groups, partitions
        `image_id` and `group`, `image_id` and `partition`; rows as in `labels`.

    Returns
    -------
    DataFrame
        `image_id`, `p_akiec` to `p_vasc`, `label`, `lesion_id`, `sex`, `age_band`, `localization`,
        `dx_type` (text, `unknown` if missing). If there are training images, also
        `lesion_in_training` and `group_in_training`, bool.

    Raises
    ------
    ValueError
        If the tables do not match, or there is no test image.
    """
    known = _describe_images(labels, groups, partitions)
    test = select_test(predictions)
    test = test[["image_id", *PROBABILITIES, "label"]]
    joined = test.merge(known, on=["image_id", "label"], validate="1:1")
    if len(joined) < len(test):
        raise ValueError(
            f"{len(test) - len(joined)} of the {len(test)} test images in the predictions are not "
            "in the labels, or have another label there; run the stage 'predict' again"
        )
    return joined


def evaluate(
    table: pd.DataFrame,
    *,
    calibration: Mapping,
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
        The result of `collect_test_images`.
    min_group_size
        Images; smaller subgroups are counted, not scored.
    """
    config = BootstrapConfig(n_resamples, confidence, calibration_bins, seed)
    labels, lesions = table["label"].to_numpy(), table["lesion_id"].to_numpy()
    raw = table[list(PROBABILITIES)].to_numpy()
    probabilities = apply_calibration(raw, calibration)
    calibrated = table.assign(**dict(zip(PROBABILITIES, probabilities.T, strict=True)))
    weights = draw_weights(labels, lesions, n_resamples=n_resamples, seed=seed)
    headline, classes = score_images(labels, probabilities, lesions, config, weights=weights)
    cells = curves.confusion_table(labels, probabilities)
    predicted = cells.loc[cells["n_images"] > 0, "predicted"].unique()
    referral = curves.referral_table(labels, probabilities, referred=np.arange(10) / 10)
    return {
        "n_images": len(table),
        "n_lesions": table["lesion_id"].nunique(),
        "probabilities": "not calibrated" if calibration["temperature"] is None else "calibrated",
        "bootstrap": {
            "confidence": confidence,
            "n_resamples": n_resamples,
            "resampled": "lesions, within each diagnosis",
        },
        "headline": headline,
        "classes": classes,
        "classes_without_images": [dx for dx in CODES if classes[dx]["n_images"] == 0],
        "only_predicted": predicted[0] if len(predicted) == 1 else None,
        "confusion": {
            dx: rows.set_index("predicted")["n_images"].to_dict()
            for dx, rows in cells.groupby("dx", sort=False)
        },
        "screening": score_screening_tasks(labels, probabilities, weights, confidence=confidence),
        "calibration": score_calibration(labels, raw, calibration, weights, config),
        "conformal": score_prediction_sets(labels, probabilities, calibration, weights, config),
        "referral": referral.to_dict("records"),
        "subgroups": score_subgroups(calibrated, config, min_group_size=min_group_size),
        "leakage": score_leakage(calibrated, config, min_group_size=min_group_size),
    }


def make_tables(
    table: pd.DataFrame, *, calibration: Mapping, calibration_bins: int
) -> dict[str, pd.DataFrame]:
    """Return the tables that are written as CSV; arguments as in `evaluate`.

    Returns
    -------
    dict of str to DataFrame
        `roc`, `precision_recall`, `reliability`, `referral` and `confusion`, see
        `lesions.evaluation.curves`; `isic_submission`, see `lesions.evaluation.predictions`.
    """
    labels, raw = table["label"].to_numpy(), table[list(PROBABILITIES)].to_numpy()
    probabilities = apply_calibration(raw, calibration)
    compared = {"raw": raw}
    if calibration["temperature"] is not None:
        compared["calibrated"] = probabilities
    referral = curves.referral_table(labels, probabilities, referred=np.arange(100) / 100)
    return {
        "roc": curves.roc_table(labels, probabilities),
        "precision_recall": curves.precision_recall_table(labels, probabilities),
        "reliability": curves.reliability_table(labels, compared, n_bins=calibration_bins),
        "referral": referral.drop(columns="n_images"),
        "confusion": curves.confusion_table(labels, probabilities),
        "isic_submission": isic_submission(table["image_id"], probabilities),
    }


def _describe_images(labels, groups, partitions):
    """Return the columns of `collect_test_images` that are not predictions, for all images."""
    for table, name in ((groups, "groups"), (partitions, "partitions")):
        if list(table["image_id"]) != list(labels["image_id"]):
            raise ValueError(
                f"The images of the {name} are not those of the labels in the same order; run "
                "'dvc repro'"
            )
    known = labels[["image_id", "label", "lesion_id"]].assign(
        sex=fill_unknown(labels["sex"]),
        age_band=age_bands(labels["age"]),
        localization=fill_unknown(labels["localization"]),
        dx_type=fill_unknown(labels["dx_type"]),
    )
    is_train = (partitions["partition"] == "train").to_numpy()
    if is_train.any():
        for name, units in (("lesion", labels["lesion_id"]), ("group", groups["group"])):
            known[f"{name}_in_training"] = units.isin(units[is_train]).to_numpy()
    return known
