"""The split: one partition for every image."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from lesions.taxonomy import PARTITIONS


def partition_images(
    labels: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    codes: Sequence[str],
    by: str,
    seed: int,
    column: str | None = None,
    test_size: float = 0,
    val_size: float = 0,
    cal_size: float = 0,
    folds: int = 0,
    fold: int = 0,
) -> pd.DataFrame:
    """Assign every image to `train`, `val`, `cal` or `test`.

    Parameters
    ----------
    labels
        Has `image_id`, `lesion_id`, `dx`, and `column` if that is used.
    groups
        `image_id`, `group`; row i belongs to row i of `labels`. Used for `by="group"` only.
    codes
        Of all classes: each must have training images.
    by
        `image`: at random, as in the paper; photographs of one lesion may be separated.
        `lesion`: photographs of one lesion stay together; stratified by `dx`.
        `group`: so do lesions with near-duplicates, or of one patient; stratified by the `dx` of a
        group's first image.
        `column`: as the metadata's `column` says.
        `none`: all are test images.
    test_size, val_size, cal_size
        Shares of all images (`lesion`, `group`: of the lesions or groups of each `dx`); 0 leaves a
        partition empty.
    folds, fold
        0: one random split. At least 2: the test images are fold number `fold`, from 0, and
        `test_size` is not used; every image is a test image in exactly one fold.

    Returns
    -------
    DataFrame
        `image_id`, `partition`; row i belongs to row i of `labels`.

    Raises
    ------
    ValueError
        If a class has too few lesions for the partitions or no training image, if the column is
        missing or holds another word, or if the groups are of other images.
    """
    if by == "none":
        return labels[["image_id"]].assign(partition="test")
    if by == "column":
        partition = _read_column(labels, column)
        if not (partition == "test").any():
            raise ValueError(
                f"Column {column!r} of the metadata makes no image a test image; change "
                "sets.study.split in params.yaml"
            )
    else:
        units, strata = _find_units(labels, groups, by)
        first = units.drop_duplicates()
        strata = None if strata is None else strata[first.index]
        test = _choose_fold(len(first), strata, folds, fold, seed)
        sizes = {"test": test_size, "val": val_size, "cal": cal_size}
        drawn = _draw_partitions(len(first), strata, sizes, seed, test)
        partition = units.map(pd.Series(drawn, index=first.to_numpy())).to_numpy()
    partitions = pd.DataFrame({"image_id": labels["image_id"], "partition": partition})
    _check_classes(labels, partitions, codes)
    return partitions


def count_partitions(
    labels: pd.DataFrame,
    partitions: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    codes: Sequence[str],
) -> pd.DataFrame:
    """Count images by partition and diagnosis, and those whose lesion or group is also in train.

    Returns
    -------
    DataFrame
        `partition`, `dx`, `n_images`, `n_lesions`, and of the images outside `train` those whose
        lesion, or group, also has training images: `n_images_of_train_lesions`,
        `n_images_of_train_groups`.
    """
    partition = partitions["partition"].to_numpy()
    images = labels[["dx", "lesion_id"]].assign(partition=partition)
    for unit, ids in (("lesions", labels["lesion_id"]), ("groups", groups["group"])):
        shared = np.isin(ids.to_numpy(), ids.to_numpy()[partition == "train"])
        images[f"n_images_of_train_{unit}"] = shared & (partition != "train")
    counts = images.groupby(["partition", "dx"]).agg(
        n_images=("dx", "size"),
        n_lesions=("lesion_id", "nunique"),
        n_images_of_train_lesions=("n_images_of_train_lesions", "sum"),
        n_images_of_train_groups=("n_images_of_train_groups", "sum"),
    )
    order = pd.MultiIndex.from_product([PARTITIONS, codes], names=["partition", "dx"])
    return counts.reindex(order, fill_value=0).reset_index()


def _find_units(labels, groups, by):
    """Return the unit of every image that is assigned as one, and the strata or None."""
    rows = labels.reset_index(drop=True)
    if by == "image":
        return pd.Series(np.arange(len(rows))), None
    if by == "lesion":
        return rows["lesion_id"], rows["dx"]
    if groups["image_id"].tolist() != rows["image_id"].tolist():
        raise ValueError(
            f"The image ids of groups.csv ({len(groups)} rows) and labels.csv ({len(rows)} rows) "
            "differ; run 'dvc repro'"
        )
    return groups["group"].reset_index(drop=True), rows["dx"]


def _choose_fold(n_units, strata, folds, fold, seed):
    """Return the positions of the units in the fold, or None without folds."""
    if folds == 0:
        return None
    rarest = n_units if strata is None else int(strata.value_counts().min())
    if rarest < folds:
        unit = "images" if strata is None else f"units of {strata.value_counts().idxmin()}"
        raise ValueError(
            f"sets.study.split.folds is {folds}, but there are only {rarest} {unit}; lower it in "
            "params.yaml"
        )
    kind = KFold if strata is None else StratifiedKFold
    # One row per lesion or group, so that StratifiedGroupKFold is not needed.
    split = kind(folds, shuffle=True, random_state=seed).split(np.zeros(n_units), strata)
    return list(split)[fold][1]


def _draw_partitions(n_units, strata, sizes, seed, test):
    """Draw test (unless given), val and cal in turn; the rest is train."""
    partition = np.full(n_units, "train", dtype=object)
    rest = np.arange(n_units)
    for name, size in sizes.items():
        if name == "test" and test is not None:
            partition[test] = name
            rest = np.setdiff1d(rest, test)
        elif size > 0:
            strata_left = None if strata is None else strata.to_numpy()[rest]
            n_drawn = math.ceil(size * n_units)  # as scikit-learn rounds; of all, not of the rest
            rest, drawn = _draw(rest, n_drawn, strata_left, seed, name)
            partition[drawn] = name
    return partition


def _draw(units, n_drawn, strata, seed, name):
    """Split off a partition; name it and the rarest class if scikit-learn refuses."""
    try:
        return train_test_split(units, test_size=n_drawn, random_state=seed, stratify=strata)
    except ValueError as error:
        detail, units = "", "images"
        if strata is not None:
            counts = pd.Series(strata).value_counts()
            units = "lesions or groups"
            detail = f" of every class (the rarest left, {counts.index[-1]}: {counts.iloc[-1]})"
        raise ValueError(
            f"sets.study.split.{name}_size leaves too few {units}{detail}; change the sizes in "
            f"params.yaml, or add more {units}"
        ) from error


def _read_column(labels: pd.DataFrame, column: str) -> np.ndarray:
    if column not in labels:
        raise ValueError(
            f"sets.study.split.column: the metadata have no column {column!r}; they have "
            f"{', '.join(labels.columns)}"
        )
    wrong = ~labels[column].isin(PARTITIONS)
    if wrong.any():
        first = labels.loc[wrong].iloc[0]
        raise ValueError(
            f"Column {column!r} of the metadata must hold {', '.join(PARTITIONS)}; {wrong.sum()} "
            f"row(s) do not, first {first['image_id']} with {first[column]!r}"
        )
    return labels[column].to_numpy()


def _check_classes(labels: pd.DataFrame, partitions: pd.DataFrame, codes: Sequence[str]) -> None:
    train = labels.loc[partitions["partition"] == "train", "dx"]
    absent = [dx for dx in codes if dx not in set(train)]
    if absent:
        raise ValueError(
            f"No training image for {', '.join(absent)} (of {len(train)}); add more images, or "
            "change sets.study.split in params.yaml"
        )
