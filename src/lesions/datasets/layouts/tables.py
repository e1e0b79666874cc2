"""Tables as text: comma-, tab- or semicolon-separated values, and Parquet."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lesions.datasets.metadata_schema import and_more, refuse_repeated_columns

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
PARQUET = ".parquet"


def find_tables(files: Iterable[Path]) -> list[Path]:
    """Return the files of separated values, by the end of their names."""
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def read_header(path: Path) -> list[str]:
    """Return the column names in a file's first line, none if it is no text."""
    with path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
        line = file.readline(2**16).rstrip("\n")
    if "\ufffd" in line or "\0" in line:
        return []
    return next(csv.reader([line], delimiter=find_delimiter(line)), [])


def find_delimiter(line: str) -> str:
    """Return what separates the values of a header: a tab, a semicolon or a comma."""
    if "\t" in line:
        return "\t"
    return ";" if line.count(";") > line.count(",") else ","


def read_table(path: Path) -> pd.DataFrame:
    """Return a table with every value as it is in the file, as a string.

    Raises
    ------
    ValueError
        If the file cannot be read, is empty, has rows of unequal length or repeated columns.
    """
    if path.suffix.lower() == PARQUET:
        table = _read_parquet(path)
    else:
        rows = _read_rows(path)
        table = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    refuse_repeated_columns(list(table.columns), name=path.name)
    return table


def _read_parquet(path):
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise ValueError(
            f"{path.name} is Parquet, which pandas reads with pyarrow alone; run '.venv/bin/pip "
            "install pyarrow', or save it as CSV UTF-8"
        ) from None
    except Exception as error:  # pyarrow's exceptions have no common class
        raise ValueError(
            f"{path.name} is not readable Parquet: {error}; download it again, or save it as CSV"
        ) from error
    return table.astype(object).where(table.notna(), "").astype(str)


def _read_rows(path):
    """Return the header and the rows of a file of separated values."""
    name = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel writes a byte-order mark
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 (byte {error.start + 1}); save it as CSV UTF-8"
        ) from error
    delimiter = find_delimiter(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of {name} is not comma- or tab-separated values: {error}; "
            "correct it, or download the file again"
        ) from error
    while rows and not rows[-1]:
        rows.pop()  # empty lines after the last row
    if not rows:
        raise ValueError(f"{name} is empty; download it again")
    uneven = [index for index, row in enumerate(rows) if len(row) != len(rows[0])]
    if uneven:
        raise ValueError(
            f"Row {uneven[0] + 1} of {name} has {len(rows[uneven[0]])} values for "
            f"{len(rows[0])} columns{and_more(len(uneven) - 1, 'row')}; correct it"
        )
    return rows
