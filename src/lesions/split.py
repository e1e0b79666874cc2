"""Who is trained on and who is tested: one partition for every image."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from lesions.taxonomy import CODES, PARTITIONS


def partition_images(
    labels: pd.DataFrame,
    groups: pd.DataFrame | None = None,
    *,
    by: str,
    column: str | None,
    test_size: float,
    val_size: float,
    cal_size: float,
    folds: int = 0,
    fold: int = 0,
    seed: int,
) -> pd.DataFrame:
    """Give every image one of `train`, `val`, `cal`, `test`.

    Parameters
    ----------
    labels
        Has `image_id`, `lesion_id`, `dx`, and `column` where that is used.
    groups
        `image_id`, `group`; row i belongs to row i of `labels`; needed by `by: group` alone.
    by
        `image`: at random, as in the paper, so that photographs of one lesion may be separated.
        `lesion`: photographs of one lesion stay together; stratified by `dx`.
        `group`: lesions with near-duplicates stay together too; stratified by the `dx` that stands
        first in a group.
        `column`: as the metadata's `column` says; the sizes and folds are not used.
    test_size, val_size, cal_size
        Shares of all images (`by: lesion`: of all lesions of each `dx`; `by: group` likewise); 0
        leaves a part empty.
    folds, fold
        0: one random split. At least 2: the test part is number `fold`, from 0 on, of so many
        folds, stratified and together as `by` says, and `test_size` is not used; every image is in
        the test part of exactly one fold.

    Returns
    -------
    DataFrame
        `image_id`, `partition`; row i belongs to row i of `labels`.

    Raises
    ------
    ValueError
        If a class has too few lesions for the parts asked for, the column is missing or holds
        another word, the groups are of other images, the fold is none of the folds, or a class has
        no training image.
    """
    if by == "column":
        partition = _read_column(labels, column)
    else:
        units, strata = _units(labels, groups, by)
        first = units.drop_duplicates()
        strata = None if strata is None else strata[first.index]
        test = _fold(len(first), strata, folds, fold, seed)
        sizes = {"test": test_size, "val": val_size, "cal": cal_size}
        drawn = _draw(len(first), strata, sizes, seed, test)
        partition = units.map(pd.Series(drawn, index=first.to_numpy())).to_numpy()
    partitions = pd.DataFrame({"image_id": labels["image_id"], "partition": partition})
    if not (partitions["partition"] == "test").any():
        raise ValueError(
            f"a part 'test' must have images; column {column!r} puts none there; mend it, or "
            "change split in params.yaml"
        )
    _check_training_part(labels, partitions)
    return partitions


def describe_split(
    labels: pd.DataFrame, partitions: pd.DataFrame, groups: pd.DataFrame
) -> dict[str, int]:
    """Count the images of each part, and the test images whose lesion or group is trained on."""
    partition = partitions["partition"].to_numpy()
    counts = {f"n_{name}": int((partition == name).sum()) for name in PARTITIONS}
    for name, unit in (("lesion", labels["lesion_id"]), ("group", groups["group"])):
        unit = unit.to_numpy()
        shared = np.isin(unit[partition == "test"], unit[partition == "train"])
        counts[f"n_test_sharing_a_{name}_with_train"] = int(shared.sum())
    return counts


def leaking(groups: pd.DataFrame, partitions: pd.DataFrame) -> np.ndarray:
    """Tell of every image whether its group lies in another partition also.

    Moving all of them to `train` mends a published split (Abhishek, Jain, Hamarneh, *Sci Data*
    12:196, 2025, made DermaMNIST-C so).

    Parameters
    ----------
    groups
        `group`; row i belongs to row i of `partitions`.
    partitions
        `partition`.

    Returns
    -------
    ndarray
        bool `(n_images,)`.
    """
    partition = pd.Series(partitions["partition"].to_numpy())
    return (partition.groupby(groups["group"].to_numpy()).transform("nunique") > 1).to_numpy()


def _units(labels, groups, by):
    """Give what is drawn as a whole: its name for every image, and the strata or None."""
    rows = labels.reset_index(drop=True)
    if by == "image":
        return pd.Series(np.arange(len(rows))), None
    if by == "lesion":
        return rows["lesion_id"], rows["dx"]
    found = None if groups is None else groups["image_id"].tolist()
    if found != rows["image_id"].tolist():
        what = "none" if groups is None else f"{len(groups)} rows of other images or another order"
        raise ValueError(
            f"split.by: group needs the group of each of the {len(rows)} images, row by row; "
            f"found {what}; run 'dvc repro audit'"
        )
    return groups["group"].reset_index(drop=True), rows["dx"]


def _fold(n_units, strata, folds, fold, seed):
    """Give the positions of the units in the fold, or None without folds."""
    if folds == 0:
        return None
    if not 0 <= fold < folds:
        raise ValueError(
            f"split.fold must be from 0 to {folds - 1}, one of split.folds = {folds}; found "
            f"{fold}; change it in params.yaml"
        )
    rarest = n_units if strata is None else int(strata.value_counts().min())
    if rarest < folds:
        what = "images" if strata is None else f"units of {strata.value_counts().idxmin()}"
        raise ValueError(
            f"split.folds must be at most the number of lesions or groups of every class; there "
            f"are {rarest} {what}, and {folds} folds; change it in params.yaml"
        )
    kind = KFold if strata is None else StratifiedKFold
    # One row a unit, so that folds of whole lesions need no StratifiedGroupKFold.
    cut = kind(folds, shuffle=True, random_state=seed).split(np.zeros(n_units), strata)
    return list(cut)[fold][1]


def _draw(n_units, strata, sizes, seed, test):
    """Take the held-out parts one after the other, `test` as given; what is left is `train`."""
    partition = np.full(n_units, "train", dtype=object)
    rest = np.arange(n_units)
    for name, size in sizes.items():
        if name == "test" and test is not None:
            partition[test] = name
            rest = np.setdiff1d(rest, test)
            continue
        if size == 0:
            continue
        strata_left = None if strata is None else strata.to_numpy()[rest]
        n_taken = math.ceil(size * n_units)  # as scikit-learn rounds; of all, not of the rest
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
