"""Who is trained on and who is tested: one partition for every image."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from lesions.taxonomy import CODES, PARTITIONS


def partition_images(
    labels: pd.DataFrame,
    *,
    by: str,
    column: str | None,
    test_size: float,
    val_size: float,
    cal_size: float,
    seed: int,
) -> pd.DataFrame:
    """Give every image one of `train`, `val`, `cal`, `test`.

    Parameters
    ----------
    labels
        Has `image_id`, `lesion_id`, `dx`, and `column` where that is used.
    by
        `image`: at random, as in the paper, so that photographs of one lesion may be separated.
        `lesion`: photographs of one lesion stay together; stratified by `dx`.
        `column`: as the metadata's `column` says; the sizes are not used.
    test_size, val_size, cal_size
        Shares of all images (`by: lesion`: of all lesions of each `dx`); 0 leaves a part empty.

    Returns
    -------
    DataFrame
        `image_id`, `partition`; row i belongs to row i of `labels`.

    Raises
    ------
    ValueError
        If a class has too few lesions for the parts asked for, the column is missing or holds
        another word, or a class has no training image.
    """
    sizes = {"test": test_size, "val": val_size, "cal": cal_size}
    if by == "image":
        partition = _draw(np.arange(len(labels)), None, sizes, seed)
    elif by == "lesion":
        lesions = labels.drop_duplicates("lesion_id").set_index("lesion_id")["dx"]
        drawn = _draw(lesions.index.to_numpy(), lesions, sizes, seed)
        partition = labels["lesion_id"].map(pd.Series(drawn, index=lesions.index)).to_numpy()
    else:
        partition = _read_column(labels, column)
    partitions = pd.DataFrame({"image_id": labels["image_id"], "partition": partition})
    _check_training_part(labels, partitions)
    return partitions


def describe_split(labels: pd.DataFrame, partitions: pd.DataFrame) -> dict[str, int]:
    """Count the images of each part, and the test images whose lesion is also trained on."""
    partition = partitions["partition"]
    counts = {f"n_{name}": int((partition == name).sum()) for name in PARTITIONS}
    trained = set(labels.loc[partition == "train", "lesion_id"])
    shared = labels.loc[partition == "test", "lesion_id"].isin(trained)
    return {**counts, "n_test_sharing_a_lesion_with_train": int(shared.sum())}


def _draw(units: np.ndarray, strata: pd.Series | None, sizes: dict, seed: int) -> np.ndarray:
    """Take the held-out parts from `units` one after the other; what is left is `train`."""
    partition = np.full(len(units), "train", dtype=object)
    rest = np.arange(len(units))
    for name, size in sizes.items():
        if size == 0:
            continue
        strata_left = None if strata is None else strata.to_numpy()[rest]
        n_taken = math.ceil(size * len(units))  # as scikit-learn rounds; of all, not of the rest
        take = _explained(train_test_split, strata_left, name)
        rest, taken = take(rest, test_size=n_taken, random_state=seed, stratify=strata_left)
        partition[taken] = name
    return partition


def _explained(take: Callable, strata: np.ndarray | None, name: str) -> Callable:
    """Let scikit-learn's refusal say which part is meant and which class is the rarest."""
    if strata is None:
        need, bring = "leave images to train on", "images"
    else:
        counts = pd.Series(strata).value_counts()
        need, bring = "find and leave lesions of every class", "lesions"
        need += f"; the rarest left, {counts.index[-1]}, has {counts.iloc[-1]}"

    def take_or_explain(*args, **kwargs):
        try:
            return take(*args, **kwargs)
        except ValueError as error:
            raise ValueError(
                f"split.{name}_size must {need}; scikit-learn says: {error}; "
                f"change the sizes in params.yaml or bring more {bring}"
            ) from error

    return take_or_explain


def _read_column(labels: pd.DataFrame, column: str) -> np.ndarray:
    if column not in labels:
        raise ValueError(
            f"split.column must be a column of the metadata; found {column!r}, "
            f"the metadata has {', '.join(labels.columns)}"
        )
    wrong = ~labels[column].isin(PARTITIONS)
    if wrong.any():
        first = labels.loc[wrong].iloc[0]
        raise ValueError(
            f"column {column!r} must hold {', '.join(PARTITIONS)}; {wrong.sum()} row(s) do not, "
            f"first {first['image_id']} with {first[column]!r}"
        )
    return labels[column].to_numpy()


def _check_training_part(labels: pd.DataFrame, partitions: pd.DataFrame) -> None:
    trained_images = labels.loc[partitions["partition"] == "train", "dx"]
    absent = [dx for dx in CODES if dx not in set(trained_images)]
    if absent:
        raise ValueError(
            f"every class must have training images; none of the {len(trained_images)} has "
            f"{', '.join(absent)}; bring more images, or change split in params.yaml"
        )
