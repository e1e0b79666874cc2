"""Read HAM10000's metadata in any of its dialects, refuse what cannot be right, give labels."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from lesions.taxonomy import CODES, COLUMNS, LABELS

# What `encode_labels` adds; the same name in the metadata would be overwritten.
ADDED = ("label", "image_path")
# The ground truth of the ISIC 2018 challenge, task 3: one 1.0 a row, under the diagnosis.
ONE_HOT = ("image", *map(str.upper, CODES))
ONE_DX = "a lesion must have one dx"


def _differs_from_the_first_of_its_lesion(metadata):
    """Tell the rows whose dx is not that of the lesion's first row; no id is no lesion."""
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    return (dx != dx.groupby(lesions).transform("first")) & (lesions.str.strip() != "")


def _id_rules(column):
    """Give the rules of every id."""
    return [
        pa.Check(lambda ids: ids.str.strip() != "", error=f"{column} must not be empty"),
        pa.Check(
            lambda ids: (ids == ids.str.strip()) | (ids.str.strip() == ""),
            error=f"{column} must have no spaces around it",
        ),
    ]


# Every rule about rows; what breaks one is told with the rule's own words.
SCHEMA = pa.DataFrameSchema(
    {
        "lesion_id": pa.Column(checks=_id_rules("lesion_id")),
        "image_id": pa.Column(
            checks=[
                *_id_rules("image_id"),
                pa.Check(
                    lambda ids: ~ids.str.lower().str.endswith((".jpg", ".jpeg")),
                    error="image_id must be a file's name without its suffix",
                ),
                pa.Check(
                    lambda ids: ~ids.duplicated() | (ids.str.strip() == ""),
                    error="image_id must stand in one row only",
                ),
            ]
        ),
        "dx": pa.Column(
            checks=pa.Check(
                lambda dx: dx.isin(CODES), error=f"dx must be one of {', '.join(CODES)}"
            )
        ),
        "age": pa.Column(
            checks=pa.Check(  # what is no number is not between
                lambda age: (age == "") | pd.to_numeric(age, errors="coerce").between(0, 120),
                error="age must be empty or a number of years from 0 to 120",
            )
        ),
    },
    checks=pa.Check(lambda table: ~_differs_from_the_first_of_its_lesion(table), error=ONE_DX),
)


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
        Where the file cannot be read as such a table, and where `check_metadata` finds a fault.
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


def check_metadata(metadata: pd.DataFrame, *, name: str) -> None:
    """Refuse metadata with any fault; the message counts the rows that break each rule.

    Of each rule it names the first row, as numbered in the file, header = 1, and what stands there.

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
    _check_columns(list(metadata.columns), name=name)  # first: no rule holds of a missing column
    if metadata.empty:
        raise ValueError(f"{name} must have a row for each image; it has none; fetch it again.")
    metadata = metadata.reset_index(drop=True)
    try:
        SCHEMA.validate(metadata, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return
    faults = []
    for (column, rule), found in cases.groupby(["column", "check"], sort=False):
        places = sorted(found["index"].astype(int))
        if rule != ONE_DX:
            faults.append(_say(rule, metadata[column], places, name=name))
        elif column == "dx":  # pandera names every column of a row that breaks a rule of the table
            faults.append(_say_two_diagnoses(metadata, places, name=name))
    if len(faults) == 1:
        raise ValueError(faults[0])
    raise ValueError(f"{name} breaks {len(faults)} rules:\n  " + "\n  ".join(faults))


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
    unknown = (~metadata["dx"].isin(CODES)).to_numpy().nonzero()[0]
    if len(unknown):
        rule = f"dx must be one of {', '.join(CODES)}"
        raise ValueError(_say(rule, metadata["dx"], unknown, name="the metadata"))
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


def _say(rule, values, places, *, name):
    """Say a rule, the first row that breaks it, what it has and how many more there are."""
    return (
        f"{rule}; row {places[0] + 2} of {name} has {values.iloc[places[0]]!r}"
        f"{_more(len(places) - 1, 'row')}."
    )


def _say_two_diagnoses(metadata, places, *, name):
    """Say which lesion has two diagnoses, in which rows, and how many more such lesions are."""
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    lesion = lesions[places[0]]
    first = int((lesions == lesion).to_numpy().argmax())
    return (
        f"{ONE_DX}; lesion {lesion} has {dx[first]!r} in row {first + 2} of {name} and "
        f"{dx[places[0]]!r} in row {places[0] + 2}"
        f"{_more(lesions[places].nunique() - 1, 'lesion')}; correct the dx or the lesion_id."
    )


def _more(n, noun):
    """Give ' (and 2 more rows)', or nothing where there are no more."""
    return f" (and {n} more {noun}{'s' if n > 1 else ''})" if n else ""
