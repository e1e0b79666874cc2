"""Names that packages share: the partitions, and the columns of a table of predictions."""

from collections.abc import Iterable

import pandas as pd

PARTITIONS = ("train", "val", "cal", "test")


def probability_columns(codes: Iterable[str]) -> list[str]:
    """Return the columns that hold the probabilities of the classes: `p_<code>`."""
    return [f"p_{dx}" for dx in codes]


def class_codes(predictions: pd.DataFrame) -> list[str]:
    """Return the codes of the classes in the order of the columns `p_<code>` of a table."""
    return [name.removeprefix("p_") for name in predictions if name.startswith("p_")]
