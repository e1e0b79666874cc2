"""Metadata as a network's second input: numbers for age, sex and localization.

How a table is encoded is decided on the training rows and stays with the network, so that every
prediction encodes alike. What is missing is zeros: age and sex may be, and so may a whole row.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

# Not dx_type: it says how a diagnosis was confirmed, which nobody knows before there is one.
COLUMNS = ("age", "sex", "localization")
SEXES = ("female", "male")
MISSING = ("", "unknown")
AGE_OF_ZERO, AGE_SCALE = 50, 25  # years: 50 becomes 0, and 75 becomes 1


def choose_encoding(train: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[str]]:
    """Return how metadata are encoded: each column and its words, one value for each of them.

    Parameters
    ----------
    train
        The rows of the training images; has `columns`.
    columns
        Some of `COLUMNS`, in any order; none: the model reads no metadata.

    Returns
    -------
    dict of str to list of str
        In the order of `COLUMNS`: `age` has no words, `sex` those of `SEXES`, `localization` those
        that occur in `train`, sorted.

    Raises
    ------
    ValueError
        If a column is missing in every row, or no row has a word of `SEXES`, though sex is given.
    """
    encoding = {}
    for column in (column for column in COLUMNS if column in columns):
        words = _normalize(train[column]).dropna().unique()
        if not len(words):
            raise ValueError(
                f"The model's setting metadata names {column}, which no training image has; leave "
                "it out"
            )
        if column == "sex" and not set(words) & set(SEXES):
            raise ValueError(
                f"The column sex of the metadata has {', '.join(sorted(words))}; write female and "
                "male, or leave sex out of the model's setting metadata"
            )
        encoding[column] = {"age": [], "sex": list(SEXES)}.get(column, sorted(words))
    return encoding


def encode_metadata(table: pd.DataFrame, encoding: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return the numbers that a network reads of each row.

    Parameters
    ----------
    table
        Any of the columns of `encoding`; one that it lacks is missing in every row. Missing are
        also empty values and `unknown`. Capitals and surrounding spaces do not count.
    encoding
        As `choose_encoding` returned it for the training rows.

    Returns
    -------
    ndarray
        float32 `(n_rows, n_values)`. Of age two values: `(years - 50) / 25`, and 1. Of every other
        column a value for each word: 1 for that of the row, else 0. A missing value is zeros, and
        so is a word that the encoding lacks.

    Raises
    ------
    ValueError
        If an age is not a number.
    """
    found = [np.empty((len(table), 0))]
    for column, words in encoding.items():
        values = _normalize(table.get(column, pd.Series(pd.NA, table.index)))
        found.append(_encode_age(values) if column == "age" else _encode_words(values, words))
    return np.concatenate(found, axis=1, dtype=np.float32)


def _normalize(values: pd.Series) -> pd.Series:
    """Return values as text in lower case; those that are missing as NA."""
    text = values.astype("string").str.strip().str.lower().str.removesuffix(".0")
    return text.mask(text.isin(MISSING))


def _encode_age(values: pd.Series) -> np.ndarray:
    try:
        years = pd.to_numeric(values).to_numpy(np.float64, na_value=np.nan)
    except ValueError as error:
        raise ValueError(
            f"The column age of the metadata has a value that is not a number ({error}); correct "
            "it, or leave it empty"
        ) from None
    scaled = np.column_stack([(years - AGE_OF_ZERO) / AGE_SCALE, np.ones(len(years))])
    return np.where(np.isnan(years)[:, None], 0, scaled)


def _encode_words(values: pd.Series, words: Sequence[str]) -> np.ndarray:
    return values.fillna("").to_numpy(object)[:, None] == np.array(words, object)
