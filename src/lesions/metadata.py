"""Read HAM10000's metadata, refuse what cannot be right, and give each image its label."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lesions.taxonomy import CODES, COLUMNS, LABELS

# What `encode_labels` adds; the same name in the metadata would be overwritten.
ADDED = ("label", "image_path")


def read_metadata(path: str | Path) -> pd.DataFrame:
    """Give the rows of HAM10000's metadata as they stand in the file, checked.

    Parameters
    ----------
    path : str or Path
        ``HAM10000_metadata.csv``, or Harvard Dataverse's ``HAM10000_metadata.tab``. Whether tabs or
        commas separate the values is seen in the header, not in the file's name.

    Returns
    -------
    DataFrame
        A row for each image and every column of the file, all values strings: an age of ``80.0``
        stays ``80.0``, an empty one ``''``.

    Raises
    ------
    ValueError
        Where the file cannot be read as such a table, and where `check_metadata` finds a fault.
    """
    name = Path(path).name
    rows = _read_rows(path, name=name)
    metadata = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    check_metadata(metadata, name=name)
    return metadata


def check_metadata(metadata: pd.DataFrame, *, name: str) -> None:
    """Raise at the first fault of the metadata; rows are numbered as in the file, header = 1.

    Parameters
    ----------
    metadata : DataFrame
        HAM10000's columns and any further ones, all values strings.
    name : str
        What the messages call the table, usually its file name.

    Raises
    ------
    ValueError
        Where a column is missing, stands twice or is one of `ADDED`; where there are no rows; where
        a lesion_id or image_id is empty or has spaces around it; where an image_id has a suffix or
        stands twice; where dx is unknown or differs within a lesion; where an age is neither empty
        nor a number from 0 to 120.
    """
    _check_columns(list(metadata.columns), name=name)
    if metadata.empty:
        raise ValueError(f"{name} must have a row for each image; it has none; fetch it again.")
    for column in ("lesion_id", "image_id"):
        ids = metadata[column]
        bare = ids.str.strip()
        _refuse(bare == "", ids, rule=f"{column} must not be empty", name=name)
        _refuse(bare != ids, ids, rule=f"{column} must have no spaces around it", name=name)
    ids = metadata["image_id"]
    suffixed = ids.str.lower().str.endswith((".jpg", ".jpeg"))
    _refuse(suffixed, ids, rule="image_id must be a file's name without its suffix", name=name)
    _refuse(ids.duplicated(), ids, rule="image_id must stand in one row only", name=name)
    _check_diagnoses(metadata, name=name)
    age = metadata["age"]
    in_years = pd.to_numeric(age, errors="coerce").between(0, 120)  # not a number: not between
    _refuse(
        (age != "") & ~in_years,
        age,
        rule="age must be empty or a number of years from 0 to 120",
        name=name,
    )


def encode_labels(metadata: pd.DataFrame, image_paths: Mapping[str, str]) -> pd.DataFrame:
    """Give the metadata with a label and an image path in every row.

    Parameters
    ----------
    metadata : DataFrame
        As `read_metadata` gives it; it is not modified.
    image_paths : Mapping of str to str
        The path of each image_id's file, relative to the raw folder.

    Returns
    -------
    DataFrame
        The same rows and columns in the same order, then ``label`` (int64, 0–6, the place of dx in
        alphabetical order) and ``image_path``.

    Raises
    ------
    ValueError
        Where a dx is unknown or an image_id has no path.
    """
    _check_codes(metadata["dx"], name="the metadata")
    missing = [image_id for image_id in metadata["image_id"] if image_id not in image_paths]
    if missing:
        raise ValueError(
            f"every image_id must have an image path; {len(missing)} of {len(metadata)} have none, "
            f"first {missing[0]}; look in the raw folder or run stage `ingest` again."
        )
    return metadata.assign(
        label=metadata["dx"].map(LABELS).astype("int64"),
        image_path=metadata["image_id"].map(dict(image_paths)),
    )


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
            f"of {name} has {len(rows[uneven[0]])}{_more(len(uneven) - 1, 'row')}; mend it."
        )
    return rows


def _check_columns(columns, *, name):
    """Refuse missing columns, columns that stand twice and names that the pipeline adds."""
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"{name} must have the columns {', '.join(COLUMNS)}; it lacks {', '.join(missing)} and "
            f"has {', '.join(map(repr, columns))}; separate them by commas and spell them so."
        )
    twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    if twice:
        raise ValueError(
            f"a column must stand once; {name} has {twice[0]!r} more than once"
            f"{_more(len(twice) - 1, 'column')}; delete or rename one of them."
        )
    added = [column for column in ADDED if column in columns]
    if added:
        raise ValueError(
            f"{' and '.join(ADDED)} are columns that the pipeline adds; {name} has "
            f"{' and '.join(added)} already; rename or delete what is there."
        )


def _check_codes(dx, *, name):
    """Refuse a diagnosis that is not one of the seven."""
    _refuse(~dx.isin(CODES), dx, rule=f"dx must be one of {', '.join(CODES)}", name=name)


def _check_diagnoses(metadata, *, name):
    """Refuse unknown diagnoses and lesions with two of them."""
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    _check_codes(dx, name=name)
    other = (dx != dx.groupby(lesions).transform("first")).to_numpy()
    if other.any():
        place = int(other.argmax())
        lesion = lesions.iloc[place]
        first = int((lesions == lesion).to_numpy().argmax())
        raise ValueError(
            f"a lesion must have one dx; lesion {lesion} has {dx.iloc[first]!r} in row {first + 2} "
            f"of {name} and {dx.iloc[place]!r} in row {place + 2}"
            f"{_more(lesions[other].nunique() - 1, 'lesion')}; correct the dx or the lesion_id."
        )


def _refuse(faulty, values, *, rule, name):
    """Raise where any row is faulty; say which is the first, what it has and how many more are."""
    places = faulty.to_numpy().nonzero()[0]
    if len(places):
        raise ValueError(
            f"{rule}; row {places[0] + 2} of {name} has {values.iloc[places[0]]!r}"
            f"{_more(len(places) - 1, 'row')}."
        )


def _more(n, noun):
    """Give ' (and 2 more rows)', or nothing where there are no more."""
    return f" (and {n} more {noun}{'s' if n > 1 else ''})" if n else ""
