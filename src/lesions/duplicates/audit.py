"""The audit of a set: groups, the most similar pairs, and counts."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lesions.duplicates.groups import group_images
from lesions.duplicates.pairs import DECIMALS, find_pairs

MEASURES = ["similarity", "matches"]


def audit_set(
    labels: pd.DataFrame,
    photographs: Mapping[str, Sequence],
    study: pd.DataFrame | None = None,
    **settings: float,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float | None]]:
    """Find the near-duplicates within a set, and between an external set and the study.

    Parameters
    ----------
    labels
        `image_id`, `lesion_id`, `dx` of the set.
    photographs
        What `lesions.duplicates.pairs.find_pairs` compares, by name: `squares`, `embeddings` and
        `keypoints`, or some of them; of the photographs of `study`, if given, then of `labels`.
    study
        The same columns for the study, if the set is an external one; no id occurs in both.
    settings
        Other arguments of `find_pairs`.

    Returns
    -------
    groups : DataFrame
        See `group_images`; computed from the set alone.
    pairs : DataFrame
        See `list_pairs`. For an external set, `image_id` is the study's.
    counts : dict
        See `count_near_duplicates`; computed from the set alone. An external set also has
        `n_classes`, and `n_near_duplicates_of_study`: its photographs that are near-duplicates of
        a photograph of the study.
    """
    n_study = 0 if study is None else len(study)
    own = find_pairs(**{name: rows[n_study:] for name, rows in photographs.items()}, **settings)
    groups = group_images(labels, own)
    counts = count_near_duplicates(labels, own, groups)
    if study is None:
        return groups, list_pairs(labels, own), counts
    pairs = find_pairs(**photographs, **settings)
    pairs = pairs[(pairs["row"] < n_study) & (pairs["other_row"] >= n_study)]
    near = pairs[pairs["near_duplicate"]]
    counts["n_classes"] = int(labels["dx"].nunique())
    counts["n_near_duplicates_of_study"] = int(near["other_row"].nunique())
    images = pd.concat([table[["image_id", "lesion_id", "dx"]] for table in (study, labels)])
    return groups, list_pairs(images, pairs), counts


def list_pairs(labels: pd.DataFrame, pairs: pd.DataFrame, *, n_pairs: int = 100) -> pd.DataFrame:
    """Return the first pairs of photographs of different lesions, at most `n_pairs`.

    Returns
    -------
    DataFrame
        `image_id`, `other_image_id`, `similarity`, `matches`, `near_duplicate`, `dx`, `other_dx`.
    """
    pairs = pairs[~_same_lesion(labels, pairs)].head(n_pairs).reset_index(drop=True)
    images = labels[["image_id", "dx"]].reset_index(drop=True)
    pairs = pairs.join(images, on="row").join(images.add_prefix("other_"), on="other_row")
    return pairs[["image_id", "other_image_id", *MEASURES, "near_duplicate", "dx", "other_dx"]]


def count_near_duplicates(
    labels: pd.DataFrame, pairs: pd.DataFrame, groups: pd.DataFrame
) -> dict[str, float | None]:
    """Count images, lesions, groups and near-duplicates, and estimate the sensitivity.

    Returns
    -------
    dict
        Counts; `n_largest_group` is in images, `n_images_regrouped` are those whose group joins
        several lesions (patients, where they are known). `sensitivity` is the share of all pairs
        within lesions that are near-duplicates, `None` if no lesion has two photographs.
        Photographs of one lesion may differ as much as those of two, so it is a lower bound.
    """
    n_photographs = labels["lesion_id"].value_counts()
    n_within = int((n_photographs * (n_photographs - 1) // 2).sum())
    same = _same_lesion(labels, pairs[pairs["near_duplicate"]])
    unit = "patient_id" if "patient_id" in labels else "lesion_id"
    units_of_group = labels.groupby(groups["group"].to_numpy())[unit].transform("nunique")
    return {
        "n_images": len(labels),
        "n_lesions": len(n_photographs),
        "n_groups": int(groups["group"].nunique()),
        "n_largest_group": int(groups["group"].value_counts().max()),
        "n_lesions_with_several_photographs": int((n_photographs > 1).sum()),
        "n_pairs_within_lesions": n_within,
        "n_pairs_within_lesions_found": int(same.sum()),
        "sensitivity": round(int(same.sum()) / n_within, DECIMALS) if n_within else None,
        "n_pairs_across_lesions_found": int((~same).sum()),
        "n_images_regrouped": int((units_of_group > 1).sum()),
    }


def _same_lesion(labels, pairs):
    lesion = labels["lesion_id"].to_numpy()
    return lesion[pairs["row"].to_numpy(int)] == lesion[pairs["other_row"].to_numpy(int)]
