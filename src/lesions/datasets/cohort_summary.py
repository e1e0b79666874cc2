"""The cohort in numbers, and photographs to show it.

`metadata` are rows of HAM10000's metadata from `lesions.datasets.metadata.read_metadata`: one for
each image; a missing value is empty.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SUMMARIZED = ("dx", "sex", "age", "localization")
UNKNOWN = "unknown"
AGE_BIN = 5  # years; HAM10000's ages are multiples of five


def summarize_cohort(metadata: pd.DataFrame, *, codes: Sequence[str]) -> pd.DataFrame:
    """Count the images for each value of dx, sex, age and localization, by diagnosis.

    Returns
    -------
    DataFrame
        `column` (one of `SUMMARIZED`), `value` (text), `dx` and `n_images`: a row for each
        combination of value and dx, so that a count may be 0. Ages are in bins of five years, named
        by their lower edge. Diagnoses are in the order of `codes`, ages ascend, both without gaps;
        other values descend in frequency; `unknown`, which includes missing values, is last.
    """
    tables = []
    for column in SUMMARIZED:
        values = _as_text(metadata, column)
        order = _display_order(column, values.value_counts(), codes)
        counts = pd.crosstab(values, metadata["dx"].to_numpy())
        counts = counts.reindex(index=order, columns=codes, fill_value=0).to_numpy()
        keys = pd.MultiIndex.from_product([[column], order, codes], names=["column", "value", "dx"])
        tables.append(pd.Series(counts.ravel(), keys, name="n_images").reset_index())
    return pd.concat(tables, ignore_index=True)


def choose_photographs(
    metadata: pd.DataFrame, *, codes: Sequence[str], per_class: int, seed: int
) -> dict[str, list[str]]:
    """Draw a few images of each diagnosis, of different lesions as long as there are enough.

    Parameters
    ----------
    per_class : int
        Images of each diagnosis; a rarer diagnosis gets all that it has.
    seed : int
        The same seed and table give the same images.

    Returns
    -------
    dict of str to list of str
        dx to image_ids, in the order of `codes`.
    """
    rng = np.random.default_rng(seed)
    shuffled = metadata.iloc[rng.permutation(len(metadata))]
    # The first photograph of every lesion comes before the second of any.
    repeats = shuffled.groupby("lesion_id").cumcount()
    queue = shuffled.iloc[np.argsort(repeats.to_numpy(), kind="stable")]
    return {dx: queue.loc[queue["dx"] == dx, "image_id"].head(per_class).tolist() for dx in codes}


def _as_text(metadata, column):
    values = metadata[column]
    if column == "age":
        values = (pd.to_numeric(values) // AGE_BIN * AGE_BIN).astype("Int64")
    return values.astype("string").replace("", pd.NA).fillna(UNKNOWN).astype(object)


def _display_order(column, counts, codes):
    if column == "dx":
        return list(codes)
    known = [value for value in sorted(counts.index) if value != UNKNOWN]
    if column == "age" and known:
        edges = [int(value) for value in known]
        known = [str(edge) for edge in range(min(edges), max(edges) + 1, AGE_BIN)]
    elif column != "age":
        known.sort(key=lambda value: -counts[value])
    return known + [UNKNOWN] * (UNKNOWN in counts.index)
