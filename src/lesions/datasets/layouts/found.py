"""What a layout finds, and the conversion of its columns to HAM10000's."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.image_files import ImageFile, is_image
from lesions.datasets.metadata_schema import RESERVED_COLUMNS

OPTIONAL = ("patient_id", "partition")
MISSING = ("", "-", "NA", "nan", "NaN", "null", "None", "N/A")


class Folder(NamedTuple):
    """The files in a folder and below."""

    path: Path
    images: list[ImageFile]  # those in archives too
    files: list[Path]  # all others


class Found(NamedTuple):
    """Metadata and photographs in a folder."""

    layout: str
    metadata: pd.DataFrame  # HAM10000's columns, `OPTIONAL` ones, and the table's others; strings
    images: list[ImageFile]
    file: Path | None  # the metadata's, where it has HAM10000's form already
    name: str  # what messages call the metadata


def find_columns(
    table: pd.DataFrame,
    usual: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, str],
    *,
    name: str,
) -> dict[str, str]:
    """Return the column of the table for each of our columns that it has.

    Parameters
    ----------
    usual : mapping of str to tuple of str
        Our column to what the layout calls it; the first that the table has is taken.
    columns : mapping of str to str
        Columns that are called differently: the setting `columns`.

    Raises
    ------
    ValueError
        If the table has no rows, or lacks a column that `columns` names, image_id or dx.
    """
    if table.empty:
        raise ValueError(f"{name} has a header but no rows; download it again")
    found = dict(columns)
    for column, names in usual.items():
        found.setdefault(column, next((name for name in names if name in table), None))
    found = {column: source for column, source in found.items() if source is not None}
    missing = [source for source in found.values() if source not in table]
    missing += [f"for {column}" for column in ("image_id", "dx") if column not in found]
    if missing:
        raise ValueError(
            f"{name} lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(repr, table.columns))}; name them in the set's source.columns"
        )
    return found


def convert_table(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return HAM10000's columns, `patient_id` and `partition` if known, then all others.

    Folders and suffix are removed from the image's id; a marker of a missing value becomes `''`. An
    empty lesion_id is filled with the image_id, an empty patient_id with the lesion_id. A further
    column whose name is taken gets the suffix `_in_source`.

    Parameters
    ----------
    columns : mapping of str to str
        Our column to the table's, from `find_columns`.
    """
    made = {column: _clean(table[source]) for column, source in columns.items()}
    made["dx"] = table[columns["dx"]]
    made["image_id"] = table[columns["image_id"]].map(_stem)
    if "age" in made:
        made["age"] = made["age"].replace("unknown", "")
    lesions = made.get("lesion_id", pd.Series("", table.index))
    made["lesion_id"] = lesions.where(lesions != "", made["image_id"])
    if "patient_id" in made:
        patients = made["patient_id"]
        made["patient_id"] = patients.where(patients != "", made["lesion_id"])
    names = [*COLUMNS, *(column for column in OPTIONAL if column in made)]
    others = table.drop(columns=list(set(columns.values())))
    taken = {*names, *RESERVED_COLUMNS}
    others.columns = [f"{name}_in_source" if name in taken else name for name in others]
    empty = pd.Series("", table.index)
    converted = pd.DataFrame({name: made.get(name, empty) for name in names}, dtype=str)
    return converted.join(others)


def _clean(values):
    values = values.str.strip()
    return values.where(~values.isin(MISSING), "")


def _stem(image_id):
    name = PurePosixPath(image_id.strip().replace("\\", "/")).name
    return name.rpartition(".")[0] if is_image(name) else name
