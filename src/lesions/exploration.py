"""The cohort in counts: how many images by diagnosis, sex, age and localization.

Everywhere, `metadata` is HAM10000's, checked, as `lesions.metadata.read_metadata` gives it: one row
an image, a missing value is empty.
"""

import numpy as np
import pandas as pd

from lesions.taxonomy import CODES

UNKNOWN = "unknown"
AGE_BIN = 5  # years; HAM10000 gives ages rounded to five years

# What the contact sheet says about its photographs, by `data.source` of params.yaml.
CAPTIONS = {
    "demo": "Synthetic images, drawn by this pipeline: they show no person's skin.",
    **dict.fromkeys(("folder", "dataverse", "url", "kaggle", "medmnist"), ""),
}


def describe_cohort(metadata: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Count the images in every way that the study plots.

    Returns
    -------
    dict of str to DataFrame
        `dx`, `sex`, `age`, `localization` as in `count_by`; `sex_by_dx`, `age_by_dx`,
        `localization_by_dx` as in `count_by_dx`.
    """
    tables = {column: count_by(metadata, column) for column in ("dx", "sex", "age", "localization")}
    for column in ("sex", "age", "localization"):
        tables[f"{column}_by_dx"] = count_by_dx(metadata, column)
    return tables


def count_by(metadata: pd.DataFrame, column: str) -> pd.DataFrame:
    """Count the images for each value of one column; a missing value is `unknown`.

    Parameters
    ----------
    column
        `age` is counted in bins of five years, named by their lower edge; any other column as is.

    Returns
    -------
    DataFrame
        The column (text) and `n_images`. Diagnoses stand in the order of the taxonomy and ages from
        young to old, in both empty ones included; other values from frequent to rare; `unknown`
        comes last.
    """
    counts = _values(metadata, column).value_counts()
    order = _order(column, counts)
    return pd.DataFrame({column: order, "n_images": counts.reindex(order, fill_value=0).to_numpy()})


def count_by_dx(metadata: pd.DataFrame, column: str) -> pd.DataFrame:
    """Count the images for each value of one column and each diagnosis.

    Parameters
    ----------
    column
        As in `count_by`.

    Returns
    -------
    DataFrame
        The column (text, in the order of `count_by`), `dx` (in the order of the taxonomy) and
        `n_images`; every combination has a row, so a count may be 0.
    """
    values, dx = _values(metadata, column), _values(metadata, "dx")
    order = _order(column, values.value_counts())
    counts = pd.crosstab(values, dx).reindex(index=order, columns=CODES, fill_value=0)
    return pd.DataFrame(
        {
            column: np.repeat(order, len(CODES)),
            "dx": np.tile(CODES, len(order)),
            "n_images": counts.to_numpy().ravel(),
        }
    )


def choose_photographs(
    metadata: pd.DataFrame, *, per_class: int, seed: int
) -> dict[str, list[str]]:
    """Draw a few images of each diagnosis, of different lesions as far as there are enough.

    Parameters
    ----------
    per_class
        Images of each diagnosis; a rarer diagnosis gives all that it has.
    seed
        The same seed draws the same images from the same table.

    Returns
    -------
    dict of str to list of str
        `dx` to `image_id`, in the order of the taxonomy.
    """
    rng = np.random.default_rng(seed)
    shuffled = metadata.iloc[rng.permutation(len(metadata))]
    # The first photograph of every lesion comes before the second of any.
    turn = shuffled.groupby("lesion_id").cumcount()
    queue = shuffled.iloc[np.argsort(turn.to_numpy(), kind="stable")]
    return {dx: queue.loc[queue["dx"] == dx, "image_id"].head(per_class).tolist() for dx in CODES}


def _values(metadata, column):
    """Give the column as text, ages as the lower edge of their bin."""
    values = metadata[column]
    if column == "age":
        values = (pd.to_numeric(values) // AGE_BIN * AGE_BIN).astype("Int64")
    return values.astype("string").replace("", pd.NA).fillna(UNKNOWN).astype(object)


def _order(column, counts):
    """Give the values as a reader wants them; see `count_by`."""
    known = [value for value in sorted(counts.index) if value != UNKNOWN]
    if column == "dx":
        return list(CODES)
    if column == "age" and known:
        edges = [int(value) for value in known]
        known = [str(edge) for edge in range(min(edges), max(edges) + 1, AGE_BIN)]
    elif column != "age":
        known.sort(key=lambda value: -counts[value])
    return known + [UNKNOWN] * (UNKNOWN in counts.index)
