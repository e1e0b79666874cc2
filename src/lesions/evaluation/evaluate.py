"""The evaluation of one model on one set of images.

Scores are those of the probabilities that a user gets: calibrated if the model has a temperature.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from lesions.evaluation import curves
from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.calibrate import apply_calibration
from lesions.evaluation.calibration.scores import score_calibration, score_prediction_sets
from lesions.evaluation.intervals import score_images
from lesions.evaluation.isic_submission import isic_columns, isic_submission
from lesions.evaluation.predictions import select_test
from lesions.evaluation.screening import score_screening_tasks
from lesions.evaluation.subgroups import age_bands, fill_unknown, score_leakage, score_subgroups
from lesions.taxonomy import class_codes, probability_columns

# What the bootstrap resamples, by unit.
RESAMPLED = {
    "patient": "patients, each within its rarest diagnosis",
    "lesion": "lesions, within each diagnosis",
    "image": "images, within each diagnosis, since the metadata have no lesion ids: photographs of "
    "one lesion could not be kept together",
}


def collect_test_images(
    predictions: pd.DataFrame, labels: pd.DataFrame, groups: pd.DataFrame, partitions: pd.DataFrame
) -> pd.DataFrame:
    """Return the predictions on the test images with the metadata that the evaluation needs.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_<code>` of each class.
    labels
        Has `image_id`, `label`, `lesion_id`, `age`, `sex`, `localization`, `dx_type`, and
        `patient_id` if patients are known.
    groups, partitions
        `image_id` and `group`, `image_id` and `partition`; rows as in `labels`.

    Returns
    -------
    DataFrame
        `image_id`, `p_<code>`, `label`, `lesion_id`, `unit` (what is resampled: the patient, or the
        lesion), `sex`, `age_band`, `localization`, `dx_type` (text, `unknown` if missing). If there
        are training images, also `lesion_in_training` and `group_in_training`, bool.

    Raises
    ------
    ValueError
        If the tables do not match, or there is no test image.
    """
    known = _describe_images(labels, groups, partitions)
    test = select_test(predictions)
    test = test[["image_id", *probability_columns(class_codes(test)), "label"]]
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
        The result of `collect_test_images`.
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
    has_lesion_ids = bool((table["lesion_id"] != table["image_id"]).any())
    unit = "lesion" if has_lesion_ids else "image"
    if (table["unit"] != table["lesion_id"]).any():
        unit = "patient"
    headline, classes = score_images(
        labels, probabilities, units, config, codes=codes, weights=weights
    )
    n_lesions = [table.loc[labels == label, "lesion_id"].nunique() for label in range(len(codes))]
    cells = curves.confusion_table(labels, probabilities, codes=codes)
    predicted = cells.loc[cells["n_images"] > 0, "predicted"].unique()
    referral = curves.referral_table(labels, probabilities, referred=np.arange(10) / 10)
    return {
        "n_images": len(table),
        "n_lesions": table["lesion_id"].nunique(),
        "has_lesion_ids": has_lesion_ids,
        "excluded": dict(excluded),
        "probabilities": "not calibrated" if calibration["temperature"] is None else "calibrated",
        "bootstrap": {
            "confidence": confidence,
            "n_resamples": n_resamples,
            "unit": unit,
            "resampled": RESAMPLED[unit],
        },
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


def _describe_images(labels, groups, partitions):
    """Return the columns of `collect_test_images` that are not predictions, for all images."""
    for table, name in ((groups, "groups"), (partitions, "partitions")):
        if list(table["image_id"]) != list(labels["image_id"]):
            raise ValueError(
                f"The images of the {name} are not those of the labels in the same order; run "
                "'dvc repro'"
            )
    known = labels[["image_id", "label", "lesion_id"]].assign(
        unit=labels["patient_id" if "patient_id" in labels else "lesion_id"],
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
