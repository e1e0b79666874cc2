"""External sets must not contain the study's own photographs or lesions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd


def refuse_known_ids(labels: pd.DataFrame, study: pd.DataFrame) -> None:
    """Raise ValueError if an external set shares an image_id or a lesion_id with the study."""
    for column in ("image_id", "lesion_id"):
        shared = labels.loc[labels[column].isin(study[column]), column].unique()
        if len(shared):
            raise ValueError(
                f"{len(shared)} of {labels[column].nunique()} {column}s of the external set are "
                f"also the study's, first {shared[0]}; remove these images from the set, or rename "
                "them if only the names are the same (names are compared)"
            )


def refuse_same_files(photographs: Iterable[Path], study_photographs: Iterable[Path]) -> None:
    """Raise ValueError if external photographs are files of the study under other names.

    The files are named `<image_id>.jpg`; their SHA-256 are compared.
    """
    known = {_digest(path): path for path in study_photographs}
    digests = {path: _digest(path) for path in photographs}
    same = [(path.stem, known[digest].stem) for path, digest in digests.items() if digest in known]
    if same:
        raise ValueError(
            f"{len(same)} of {len(digests)} external photographs are files of the study, first "
            f"{same[0][0]}, which is the study's {same[0][1]}; remove these photographs and their "
            "rows from the set"
        )


def _digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
