"""The same scores, for whom: by sex, age, site, kind of proof, and by what the model had seen.

A subgroup's macro means (balanced accuracy too) are over the classes present in it, which differ
between subgroups; read them beside the list of classes. Lesions are drawn again within the
subgroup. `table` has, beside the columns named below, `label`, `lesion_id` and `p_akiec` to
`p_vasc`, one row an image.
"""

import numpy as np
import pandas as pd

from lesions.bootstrap import Protocol
from lesions.scores import score_images
from lesions.taxonomy import CODES, PROBABILITIES

SUBGROUPS = ("sex", "age_band", "localization", "dx_type")
UNKNOWN = "unknown"
AGE_BANDS = ("0–29", "30–44", "45–59", "60–74", "75+")
AGE_EDGES = (0, 30, 45, 60, 75, np.inf)  # years; a band holds its lower edge


def age_bands(ages: pd.Series) -> pd.Series:
    """Give the band of each age in years as text, `unknown` where it is missing."""
    bands = pd.cut(pd.to_numeric(ages), AGE_EDGES, right=False, labels=AGE_BANDS)
    return name_missing(bands)


def name_missing(values: pd.Series) -> pd.Series:
    """Give the values as text, `unknown` where one is missing or empty."""
    return values.astype("string").replace("", pd.NA).fillna(UNKNOWN).astype(object)


def score_subgroups(table: pd.DataFrame, protocol: Protocol, *, min_group_size: int) -> dict:
    """Give the headline numbers by `sex`, `age_band`, `localization` and `dx_type`.

    Parameters
    ----------
    table
        Has these columns, text, none missing.
    protocol
        Resamples, confidence, bins, seed.
    min_group_size
        Images; of smaller groups only the number of images is given.

    Returns
    -------
    dict of str to dict
        For each column `groups`, name to `n_images`, `n_lesions`, `classes` (the `dx` present) and
        estimates; `too_small`, name to `n_images`; `worst`, the `group` with the lowest
        `balanced_accuracy` of those with the most diagnoses, `None` where these are fewer than
        two. Age bands stand from young to old, others from frequent to rare, `unknown` last.
    """
    return {column: _score_groups(table, column, protocol, min_group_size) for column in SUBGROUPS}


def score_leakage(table: pd.DataFrame, protocol: Protocol, *, min_group_size: int) -> dict | None:
    """Give the headline numbers of images that the model has seen the like of, and of the others.

    The two sides hold different images, so they would differ without any leak. In HAM10000 the
    nevi proven by follow-up alone, easy ones, have one photograph each and can't be in training.
    Compare diagnosis by diagnosis; what a leak is worth, only a training without it can show.

    Parameters
    ----------
    table
        Has `lesion_in_training` and `group_in_training`, bool: the image's lesion, or group, also
        has training images. Either may be missing.
    min_group_size
        Images; a smaller side has counts and `too_small` alone.

    Returns
    -------
    dict or None
        `lesion` and `group`, where there is the column, to `in_training` and `not_in_training`,
        each `None` without images, or `n_images`, `n_lesions`, `classes` and estimates, as in
        `score_subgroups`, and `sensitivity`, `dx` to estimate. `None` without either column.
    """
    scores = {}
    for unit in ("lesion", "group"):
        column = f"{unit}_in_training"
        if column in table:
            sides = {"in_training": table[table[column]], "not_in_training": table[~table[column]]}
            scores[unit] = {
                side: _score_side(rows, protocol, min_group_size) for side, rows in sides.items()
            }
    return scores or None


def _score_groups(table, column, protocol, min_group_size):
    """Give the scores of the large groups, the sizes of the small ones, and the worst."""
    counts = table[column].value_counts()
    groups, too_small = {}, {}
    for name in _order(column, counts):
        rows = table[table[column] == name]
        if len(rows) < min_group_size:
            too_small[name] = len(rows)
        else:
            groups[name], _ = _score(rows, protocol)
    worst = None
    most = max((len(row["classes"]) for row in groups.values()), default=0)
    scores = {
        name: row["balanced_accuracy"]["value"]
        for name, row in groups.items()
        if len(row["classes"]) == most  # a mean over other diagnoses is no comparison
    }
    if len(scores) > 1:
        name = min(scores, key=scores.get)
        worst = {"group": name, "balanced_accuracy": scores[name]}
    return {"groups": groups, "too_small": too_small, "worst": worst}


def _score_side(rows, protocol, min_group_size):
    """Give the scores of one side of a leak."""
    if rows.empty:
        return None
    if len(rows) < min_group_size:
        n_lesions = rows["lesion_id"].nunique()
        return {"n_images": len(rows), "n_lesions": n_lesions, "too_small": True}
    scores, classes = _score(rows, protocol)
    return scores | {"sensitivity": {dx: classes[dx]["sensitivity"] for dx in scores["classes"]}}


def _score(rows, protocol):
    """Give counts, classes present and headline estimates of some images, and the classes'."""
    labels, probabilities = rows["label"].to_numpy(), rows[list(PROBABILITIES)].to_numpy()
    scores, classes = score_images(labels, probabilities, rows["lesion_id"].to_numpy(), protocol)
    counts = {name: scores.pop(name) for name in ("n_images", "n_lesions")}
    present = [CODES[label] for label in np.unique(labels)]
    return {**counts, "classes": present, **scores}, classes


def _order(column, counts):
    """Give the names as a reader wants them; see `score_subgroups`."""
    if column == "age_band":
        known = [name for name in AGE_BANDS if name in counts.index]
    else:
        known = sorted(counts.index.drop(UNKNOWN, errors="ignore"), key=lambda n: (-counts[n], n))
    return known + [UNKNOWN] * (UNKNOWN in counts.index)
