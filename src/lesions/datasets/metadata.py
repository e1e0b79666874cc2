"""Find and read the metadata that `lesions.datasets.ingest` wrote."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from lesions.datasets.ham10000 import METADATA
from lesions.datasets.layouts.tables import read_table
from lesions.datasets.metadata_schema import check_metadata

OTHER_METADATA = "metadata.csv"  # of all layouts but HAM10000's


def find_raw_metadata(raw: Path) -> Path:
    """Return the path of the metadata in a folder that stage `ingest` wrote.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [raw / name for name in (METADATA, OTHER_METADATA) if (raw / name).is_file()]
    if not found:
        raise ValueError(
            f"{raw} has neither {METADATA} nor {OTHER_METADATA}; run stage `ingest` again"
        )
    return found[0]


def read_metadata(path: str | Path, *, codes: Collection[str] | None = None) -> pd.DataFrame:
    """Return the rows of the metadata as they are in the file, checked.

    Parameters
    ----------
    path : str or Path
        A table with HAM10000's columns; recognised by the header are commas, tabs or semicolons as
        separators.
    codes : collection of str, optional
        What dx may be; anything if left out.

    Returns
    -------
    DataFrame
        A row for each image and every column of the file; all values are strings: an age of `80.0`
        stays `80.0`, an empty one `''`.

    Raises
    ------
    ValueError
        If the file is not such a table, or `lesions.datasets.metadata_schema.check_metadata`
        finds a fault.
    """
    metadata = read_table(Path(path))
    check_metadata(metadata, name=Path(path).name, codes=codes)
    return metadata
