"""What is known of the images that are scored, and what the bootstrap resamples."""

from collections.abc import Mapping

import pandas as pd

from lesions.evaluation.images.choice import select_images
from lesions.evaluation.subgroups import age_bands, fill_unknown
from lesions.taxonomy import PARTITION_NAMES, class_codes, probability_columns

# What the bootstrap resamples, by unit.
RESAMPLED = {
    "patient": "patients, each within its rarest diagnosis",
    "lesion": "lesions, within each diagnosis",
    "image": "images, within each diagnosis, since the metadata have no lesion ids: photographs of "
    "one lesion could not be kept together",
}


def collect_images(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    groups: pd.DataFrame,
    partitions: pd.DataFrame,
    *,
    partition: str,
) -> pd.DataFrame:
    """Return the predictions on the images of a partition with the metadata to evaluate them.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_<code>` of each class.
    labels
        Has `image_id`, `label`, `lesion_id`, `age`, `sex`, `localization`, `dx_type`, and
        `patient_id` if patients are known.
    groups, partitions
        `image_id` and `group`, `image_id` and `partition`; rows as in `labels`.
    partition
        Which images: `val` or `test`.

    Returns
    -------
    DataFrame
        `image_id`, `p_<code>`, `label`, `lesion_id`, `unit` (what is resampled: the patient, or the
        lesion), `sex`, `age_band`, `localization`, `dx_type` (text, `unknown` if missing). If there
        are training images, also `lesion_in_training` and `group_in_training`, bool.

    Raises
    ------
    ValueError
        If the tables do not match, or the partition is empty.
    """
    known = _describe_images(labels, groups, partitions)
    rows = select_images(predictions, partition=partition)
    rows = rows[["image_id", *probability_columns(class_codes(rows)), "label"]]
    joined = rows.merge(known, on=["image_id", "label"], validate="1:1")
    if len(joined) < len(rows):
        raise ValueError(
            f"{len(rows) - len(joined)} of the {len(rows)} {PARTITION_NAMES[partition]} images in "
            "the predictions are not in the labels, or have another label there; run the stage "
            "'predict' again"
        )
    return joined


def describe_bootstrap(table: pd.DataFrame, *, confidence: float, n_resamples: int) -> dict:
    """Return what of the images' metadata and of the settings says how to read an interval.

    Parameters
    ----------
    table
        Has `image_id`, `lesion_id` and `unit`.

    Returns
    -------
    dict
        `has_lesion_ids`, bool; `bootstrap`: `confidence`, `n_resamples`, `unit` (`patient`,
        `lesion` or `image`) and `resampled`, the same in words.
    """
    has_lesion_ids = bool((table["lesion_id"] != table["image_id"]).any())
    unit = "lesion" if has_lesion_ids else "image"
    if (table["unit"] != table["lesion_id"]).any():
        unit = "patient"
    return {
        "has_lesion_ids": has_lesion_ids,
        "bootstrap": {
            "confidence": confidence,
            "n_resamples": n_resamples,
            "unit": unit,
            "resampled": RESAMPLED[unit],
        },
    }


def describe_unscored(
    reason: str,
    labels: pd.DataFrame,
    *,
    excluded: Mapping[str, int],
    confidence: float,
    n_resamples: int,
) -> dict:
    """Return the content of `details.json` of a set that is not scored.

    Parameters
    ----------
    reason
        As from `lesions.evaluation.images.choice.why_not_scored`.
    labels
        As in `collect_images`.
    excluded
        Diagnosis to number of its images, which `sets.<set>.source.exclude` left out.
    """
    table = labels.assign(unit=find_units(labels))
    return {
        "partition": None,
        "says": reason,
        **describe_bootstrap(table, confidence=confidence, n_resamples=n_resamples),
        "excluded": dict(excluded),
    }


def find_units(labels: pd.DataFrame) -> pd.Series:
    """Return what the bootstrap resamples: the patient of each image where known, or its lesion."""
    return labels["patient_id" if "patient_id" in labels else "lesion_id"]


def _describe_images(labels, groups, partitions):
    """Return the columns of `collect_images` that are not predictions, for all images."""
    for table, name in ((groups, "groups"), (partitions, "partitions")):
        if list(table["image_id"]) != list(labels["image_id"]):
            raise ValueError(
                f"The images of the {name} are not those of the labels in the same order; run "
                "'dvc repro'"
            )
    known = labels[["image_id", "label", "lesion_id"]].assign(
        unit=find_units(labels),
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
