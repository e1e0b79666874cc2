"""Read HAM10000's metadata in any of its dialects; what breaks a rule is refused."""

import csv
import io
from pathlib import Path

import pandas as pd

from lesions.rules import and_more, check_metadata
from lesions.taxonomy import CODES, COLUMNS

# The ground truth of the ISIC 2018 challenge, task 3: one 1.0 a row, under the diagnosis.
ONE_HOT = ("image", *map(str.upper, CODES))


def read_metadata(path: str | Path) -> pd.DataFrame:
    """Give the rows of HAM10000's metadata as they stand in the file, checked.

    Parameters
    ----------
    path : str or Path
        Kaggle's ``HAM10000_metadata.csv``, Harvard Dataverse's ``HAM10000_metadata.tab``, or the
        ISIC 2018 challenge's ground truth with the columns `ONE_HOT`. Which it is, and whether
        tabs or commas separate the values, is seen in the header, not in the file's name.

    Returns
    -------
    DataFrame
        A row for each image and every column of the file, all values strings: an age of ``80.0``
        stays ``80.0``, an empty one ``''``. Of the ISIC's ground truth, HAM10000's columns: every
        image is a lesion of its own, and what it does not say is empty.

    Raises
    ------
    ValueError
        Where the file cannot be read as such a table, and where `lesions.rules.check_metadata`
        finds a fault.
    """
    name = Path(path).name
    rows = _read_rows(path, name=name)
    metadata = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    if is_one_hot(rows[0]):
        metadata = _name_diagnoses(metadata)
    check_metadata(metadata, name=name)
    return metadata


def is_one_hot(columns: list[str]) -> bool:
    """Tell whether these are the columns of the ISIC's ground truth."""
    return set(ONE_HOT) <= set(columns) and not set(COLUMNS) & set(columns)


def _read_rows(path, *, name):
    """Give the header and the rows of a file of comma- or tab-separated values."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # Excel puts a byte-order mark first
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} must be text in UTF-8; byte {error.start + 1} is not; save it as CSV UTF-8."
        ) from error
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in header else ",", strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(
            f"{name} must be comma- or tab-separated values; line {reader.line_num} is not: "
            f"{error}; mend that line or fetch the file again."
        ) from error
    while rows and not rows[-1]:
        rows.pop()  # line ends after the last row
    if not rows:
        raise ValueError(f"{name} must have a header and rows; it is empty; fetch it again.")
    uneven = [place for place, row in enumerate(rows) if len(row) != len(rows[0])]
    if uneven:
        raise ValueError(
            f"a row must have a value for each of the {len(rows[0])} columns; row {uneven[0] + 1} "
            f"of {name} has {len(rows[uneven[0]])}{and_more(len(uneven) - 1, 'row')}; mend it."
        )
    return rows


def _name_diagnoses(truth):
    """Give HAM10000's columns for a table of `ONE_HOT`; a dx that is not exactly one says so."""
    numbers = truth[list(ONE_HOT[1:])].apply(pd.to_numeric, errors="coerce")
    dx = [
        " and ".join(
            code if number == 1 else f"{code} {text}"
            for code, number, text in zip(CODES, numbers_of, texts_of, strict=True)
            if number != 0
        )
        for numbers_of, texts_of in zip(
            numbers.to_numpy(), truth[list(ONE_HOT[1:])].to_numpy(), strict=True
        )
    ]
    known = {"lesion_id": truth["image"], "image_id": truth["image"], "dx": dx}
    metadata = pd.DataFrame({column: known.get(column, "") for column in COLUMNS}, dtype=str)
    return metadata.join(truth.drop(columns=list(ONE_HOT)))
