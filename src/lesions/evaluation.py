"""One model's whole evaluation: what `evaluate` writes, from the predictions on the test part.

The scores are those of the probabilities that a user gets: calibrated where there is a temperature.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesions.bootstrap import Protocol, draw_weights
from lesions.calibration import apply_calibration
from lesions.curves import precision_recall_table, referral_table, reliability_table, roc_table
from lesions.effects import score_calibration, score_sets
from lesions.metrics import MEASURES, confusion, name_predictions
from lesions.predictions import take_rows
from lesions.questions import ask_questions
from lesions.scores import score_images
from lesions.subgroups import age_bands, name_missing, score_leakage, score_subgroups
from lesions.submission import to_submission
from lesions.taxonomy import CODES, PROBABILITIES


def gather_test(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    groups: pd.DataFrame | None = None,
    partitions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give the predictions on the test part with what is known about each image.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_akiec` to `p_vasc`.
    labels
        Has `image_id`, `label`, `lesion_id`, `age`, `sex`, `localization`, `dx_type`.
    groups
        `image_id`, `group`; row i belongs to row i of `labels`.
    partitions
        `image_id`, `partition`; row i belongs to row i of `labels`.

    Returns
    -------
    DataFrame
        `image_id`, `label`, `p_akiec` to `p_vasc`, `lesion_id`, `sex`, `age_band`, `localization`,
        `dx_type` (text, `unknown` where missing); with `partitions`, where any image was trained
        on, `lesion_in_training`, and with `groups` too `group_in_training`, bool.

    Raises
    ------
    ValueError
        If the tables do not belong together, or there is no test image.
    """
    known = _describe_images(labels, groups, partitions)
    test = take_rows(predictions)
    joined = test[["image_id", *PROBABILITIES]].merge(known, on="image_id", validate="1:1")
    if len(joined) < len(test) or (joined["label"] != test["label"]).any():
        raise ValueError(
            f"Predictions must be of the labels' images and agree with their labels; of "
            f"{len(test)} test images {len(joined)} are there; run the stage 'predict' again."
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
) -> tuple[dict, dict]:
    """Score one model on one set of images.

    Parameters
    ----------
    table
        As `gather_test` gives it.
    calibration
        What `lesions.calibration.calibrate` gives.
    min_group_size
        Images that a subgroup must have for scores.
    n_resamples, confidence, seed
        Of the bootstrap, see `lesions.bootstrap`.
    calibration_bins
        Of the calibration error.

    Returns
    -------
    headline : dict
        `n_images`, `n_lesions` and `lesions.metrics.MEASURES`, values only.
    details : dict
        The same with intervals, and all else: `classes`, `confusion`, `questions`, `calibration`,
        `conformal`, `referral`, `subgroups`, `leakage`.
    """
    protocol = Protocol(n_resamples, confidence, calibration_bins, seed)
    labels, lesions = table["label"].to_numpy(), table["lesion_id"].to_numpy()
    raw = table[list(PROBABILITIES)].to_numpy()
    probabilities = apply_calibration(raw, calibration)
    weights = draw_weights(labels, lesions, n_resamples=n_resamples, seed=seed)
    scores, classes = score_images(labels, probabilities, lesions, protocol, weights=weights)
    counts = {name: scores.pop(name) for name in ("n_images", "n_lesions")}
    given = table.assign(**dict(zip(PROBABILITIES, probabilities.T, strict=True)))
    matrix = pd.DataFrame(confusion(labels, probabilities), index=CODES, columns=CODES)
    referral = referral_table(labels, probabilities, referred=np.arange(10) / 10)
    details = {
        "probabilities": "not calibrated" if calibration["temperature"] is None else "calibrated",
        "protocol": {
            "confidence": confidence,
            "n_resamples": n_resamples,
            "resampled": "lesions, within each diagnosis",
            "n_lesions": counts["n_lesions"],
        },
        "headline": scores,
        "classes": classes,
        "classes_without_images": [dx for dx in CODES if classes[dx]["n_images"] == 0],
        "confusion": matrix.to_dict("index"),
        "questions": ask_questions(labels, probabilities, weights, confidence=confidence),
        "calibration": score_calibration(labels, raw, calibration, weights, protocol),
        "conformal": score_sets(labels, probabilities, calibration, weights, protocol),
        "referral": referral.to_dict("records"),
        "subgroups": score_subgroups(given, protocol, min_group_size=min_group_size),
        "leakage": score_leakage(given, protocol, min_group_size=min_group_size),
    }
    return counts | {name: scores[name]["value"] for name in MEASURES}, details


def make_tables(
    table: pd.DataFrame, *, calibration: Mapping, calibration_bins: int
) -> dict[str, pd.DataFrame]:
    """Give what `evaluate` writes as CSV.

    Parameters
    ----------
    table, calibration, calibration_bins
        As in `evaluate`.

    Returns
    -------
    dict of str to DataFrame
        `confusion` (one row an image), `roc`, `precision_recall`, `reliability`, `referral` and
        `submission`; see `lesions.metrics`, `lesions.curves` and `lesions.submission`.
    """
    labels, raw = table["label"].to_numpy(), table[list(PROBABILITIES)].to_numpy()
    probabilities = apply_calibration(raw, calibration)
    both = {"raw": raw}
    if calibration["temperature"] is not None:
        both["calibrated"] = probabilities
    referral = referral_table(labels, probabilities, referred=np.arange(100) / 100)
    return {
        "confusion": name_predictions(labels, probabilities),
        "roc": roc_table(labels, probabilities),
        "precision_recall": precision_recall_table(labels, probabilities),
        "reliability": reliability_table(labels, both, n_bins=calibration_bins),
        "referral": referral.drop(columns="n_images"),
        "submission": to_submission(table["image_id"], labels, probabilities),
    }


def _describe_images(labels, groups, partitions):
    """Give the columns of `gather_test` that are not the model's, for all images."""
    known = labels[["image_id", "label", "lesion_id"]].assign(
        sex=name_missing(labels["sex"]),
        age_band=age_bands(labels["age"]),
        localization=name_missing(labels["localization"]),
        dx_type=name_missing(labels["dx_type"]),
    )
    for table, name in ((groups, "groups"), (partitions, "partitions")):
        if table is not None and list(table["image_id"]) != list(labels["image_id"]):
            raise ValueError(
                f"The {name} must have the images of the labels, in their order; they do not; "
                "run 'dvc repro'."
            )
    if partitions is not None and (partitions["partition"] == "train").any():
        trained = (partitions["partition"] == "train").to_numpy()
        units = {"lesion": labels["lesion_id"]}
        if groups is not None:
            units["group"] = groups["group"]
        for name, unit in units.items():
            known[f"{name}_in_training"] = unit.isin(unit[trained]).to_numpy()
    return known
