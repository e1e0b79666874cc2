"""What packages share: names of partitions and columns, and which evaluations have scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd  # not at run time: prediction needs no tables

PARTITIONS = ("train", "val", "cal", "test")
PARTITION_NAMES = {"train": "training", "val": "validation", "cal": "calibration", "test": "test"}


def probability_columns(codes: Iterable[str]) -> list[str]:
    """Return the columns that hold the probabilities of the classes: `p_<code>`."""
    return [f"p_{dx}" for dx in codes]


def class_codes(predictions: pd.DataFrame) -> list[str]:
    """Return the codes of the classes in the order of the columns `p_<code>` of a table."""
    return [name.removeprefix("p_") for name in predictions if name.startswith("p_")]


def keep_scored(details: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """Return those of a model's evaluations, set to `details.json`, that have scores.

    Evaluations of version 0.2 name no partition: all were of test images.
    """
    return {name: found for name, found in details.items() if found.get("partition", "test")}


def keep_adjusted(details: Mapping) -> Mapping:
    """Return `decision` of an evaluation if its rule is `prior_adjusted`, otherwise nothing."""
    decision = details.get("decision", {})
    return decision if decision.get("rule") == "prior_adjusted" else {}
