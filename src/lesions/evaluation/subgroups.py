"""Scores by sex, age, localization, type of confirmation, and overlap with training images.

Macro means of a subgroup, balanced accuracy included, are over the classes present in it. These
differ between subgroups, so read a mean beside its list of classes. Units are resampled within the
subgroup. `table` has `label`, `lesion_id`, `unit` and `p_<code>`, one row per image. Groups of
fewer than `min_group_size` images are counted, not scored.
"""

import numpy as np
import pandas as pd

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.intervals import score_images
from lesions.taxonomy import class_codes, probability_columns

SUBGROUPS = ("sex", "age_band", "localization", "dx_type")
UNKNOWN = "unknown"
AGE_BANDS = ("0–29", "30–44", "45–59", "60–74", "75+")
AGE_EDGES = (0, 30, 45, 60, 75, np.inf)  # years; a band includes its lower edge


def age_bands(ages: pd.Series) -> pd.Series:
    """Return the age band of each age in years, `unknown` if missing."""
    return fill_unknown(pd.cut(pd.to_numeric(ages), AGE_EDGES, right=False, labels=AGE_BANDS))


def fill_unknown(values: pd.Series) -> pd.Series:
    """Return the values as text, `unknown` where missing or empty."""
    return values.astype("string").replace("", pd.NA).fillna(UNKNOWN).astype(object)


def score_subgroups(table: pd.DataFrame, config: BootstrapConfig, *, min_group_size: int) -> dict:
    """Return scores by `sex`, `age_band`, `localization` and `dx_type`, columns of the table.

    Returns
    -------
    dict of str to dict
        Column to `groups`, name to `n_images`, `n_lesions`, `classes` (dx present) and estimates;
        `too_small`, name to `n_images`; `worst`, the `group` with the lowest `balanced_accuracy`
        among those with the most diagnoses, None if there are fewer than two of them. Age bands
        ascend, other groups are sorted by frequency, `unknown` is last. A column of which nothing
        is known has no groups.
    """
    return {column: _score_column(table, column, config, min_group_size) for column in SUBGROUPS}


def score_leakage(
    table: pd.DataFrame, config: BootstrapConfig, *, min_group_size: int
) -> dict | None:
    """Return scores of images whose lesion, or group, also has training images, and of the others.

    The two sides have different images, so that they would differ without any leak. In HAM10000,
    nevi confirmed by follow-up alone are easy and have one image each, so that they are never in
    training as well. Compare class by class; only a training run without the leak shows its effect.

    Returns
    -------
    dict or None
        `lesion` and `group` to `in_training` and `not_in_training`. Each is None without images;
        `n_images`, `n_lesions` and `too_small` if small; otherwise as in `score_subgroups`, with
        `sensitivity`, dx to estimate. None without the columns `lesion_in_training` and
        `group_in_training`, bool.
    """
    if "lesion_in_training" not in table:
        return None
    found = {}
    for unit in ("lesion", "group"):
        shared = table[f"{unit}_in_training"]
        sides = {"in_training": table[shared], "not_in_training": table[~shared]}
        found[unit] = {s: _score_side(rows, config, min_group_size) for s, rows in sides.items()}
    return found


def _score_column(table, column, config, min_group_size):
    """Return the scores of large groups, the sizes of small ones, and the worst group."""
    counts = table[column].value_counts()
    if set(counts.index) == {UNKNOWN}:
        counts = counts[:0]
    groups, too_small = {}, {}
    for name in _display_order(column, counts):
        if counts[name] < min_group_size:
            too_small[name] = int(counts[name])
        else:
            groups[name], _ = _score(table[table[column] == name], config)
    most = max((len(row["classes"]) for row in groups.values()), default=0)
    scores = {
        name: row["balanced_accuracy"]["value"]
        for name, row in groups.items()
        if len(row["classes"]) == most  # means over different classes are not comparable
    }
    worst = None
    if len(scores) > 1:
        name = min(scores, key=scores.get)
        worst = {"group": name, "balanced_accuracy": scores[name]}
    return {"groups": groups, "too_small": too_small, "worst": worst}


def _score_side(rows, config, min_group_size):
    if rows.empty:
        return None
    if len(rows) < min_group_size:
        n_lesions = rows["lesion_id"].nunique()
        return {"n_images": len(rows), "n_lesions": n_lesions, "too_small": True}
    scores, classes = _score(rows, config)
    return scores | {"sensitivity": {dx: classes[dx]["sensitivity"] for dx in scores["classes"]}}


def _score(rows, config):
    """Return counts, classes present and headline estimates; and the classes' estimates."""
    codes, labels = class_codes(rows), rows["label"].to_numpy()
    probabilities = rows[probability_columns(codes)].to_numpy()
    units = rows["unit"].to_numpy()
    headline, classes = score_images(labels, probabilities, units, config, codes=codes)
    counts = {"n_images": len(rows), "n_lesions": rows["lesion_id"].nunique()}
    present = [codes[label] for label in np.unique(labels)]
    return {**counts, "classes": present, **headline}, classes


def _display_order(column, counts):
    if column == "age_band":
        known = [name for name in AGE_BANDS if name in counts.index]
    else:
        known = sorted(counts.index.drop(UNKNOWN, errors="ignore"), key=lambda n: (-counts[n], n))
    return known + [UNKNOWN] * (UNKNOWN in counts.index)
