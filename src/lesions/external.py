"""External photographs: from elsewhere, labelled, only ever tested on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd


def as_test_part(labels: pd.DataFrame, study: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the groups and the partitions of an external set: by lesion, and all of it `test`.

    Parameters
    ----------
    labels
        The external set's `image_id` and `lesion_id`.
    study
        The same columns of the photographs that the models are made from.

    Returns
    -------
    groups : DataFrame
        `image_id`, `group` (the lesion).
    partitions : DataFrame
        `image_id`, `partition`.

    Raises
    ------
    ValueError
        If a photograph or a lesion has the name of one of the study's.
    """
    for column, noun in (("image_id", "photograph"), ("lesion_id", "lesion")):
        shared = labels.loc[labels[column].isin(study[column]), column].unique()
        if len(shared):
            raise ValueError(
                f"the {column} of an external {noun} must be none of the study's; names are "
                f"compared, and {len(shared)} of {labels[column].nunique()} are the study's too, "
                f"first {shared[0]}; take these {noun}s out of the folder, or rename them where "
                "only the names are the same"
            )
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    return groups, labels[["image_id"]].assign(partition="test")


def refuse_same_files(photographs: Iterable[Path], study: Iterable[Path]) -> None:
    """Refuse external photographs that are the study's own under other names.

    Parameters
    ----------
    photographs
        The external set's files, `<image_id>.jpg`.
    study
        Those of the photographs that the models are made from.

    Raises
    ------
    ValueError
        If a file of the one has the bytes (the SHA-256) of a file of the other.
    """
    own = {_digest(path): path for path in study}
    digests = {path: _digest(path) for path in photographs}
    same = [(path.stem, own[digest].stem) for path, digest in digests.items() if digest in own]
    if same:
        raise ValueError(
            f"an external photograph must be none of the study's own; {len(same)} of "
            f"{len(digests)} have the same bytes as one of them, first {same[0][0]}, which is the "
            f"study's {same[0][1]}; take these photographs and their rows out of the folder"
        )


def describe_external(
    labels: pd.DataFrame, pairs: pd.DataFrame, *, n_study: int, similarity: float
) -> dict[str, int]:
    """Count an external set, and how much of it looks like photographs of the study.

    Parameters
    ----------
    labels
        The external set's `image_id`, `lesion_id` and `dx`.
    pairs
        `row`, `other_row`, `similarity`, as `lesions.duplicates.find_similar_pairs` gives them for
        the study's photographs and, after them, those of `labels`.
    n_study
        So many rows are the study's.
    similarity
        Pairs at or above it are near-duplicates.

    Returns
    -------
    dict
        `n_images`, `n_lesions`, `n_classes` (diagnoses that occur) and `n_near_duplicates`:
        external photographs that are near-duplicates of at least one of the study's.
    """
    across = (pairs["row"] < n_study) & (pairs["other_row"] >= n_study)
    near = pairs[across & (pairs["similarity"] >= similarity)]
    return {
        "n_images": len(labels),
        "n_lesions": int(labels["lesion_id"].nunique()),
        "n_classes": int(labels["dx"].nunique()),
        "n_near_duplicates": int(near["other_row"].nunique()),
    }


def _digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
