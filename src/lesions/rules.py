"""The rules that the metadata must keep, and the words for what breaks one."""

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from lesions.taxonomy import CODES, COLUMNS

# What `lesions.labels` adds; the same name in the metadata would be overwritten.
ADDED = ("label", "image_path")
# What pandas.read_csv takes for nothing (its na_values), but for '', which has a rule of its own.
NOTHING = r"#?N/A|#?NA|#N/A N/A|n/a|-?1\.#(?:IND|QNAN)|-?(?:NaN|nan)|<NA>|NULL|null|None"
KNOWN_DX = f"dx must be one of {', '.join(CODES)}"
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
        pa.Check(
            lambda ids: ~ids.str.fullmatch(NOTHING),
            error=f"{column} must be no word that tables have for nothing, such as NA or null",
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
        "dx": pa.Column(checks=pa.Check(lambda dx: dx.isin(CODES), error=KNOWN_DX)),
        "age": pa.Column(
            checks=pa.Check(  # what is no number is not between
                lambda age: (age == "") | pd.to_numeric(age, errors="coerce").between(0, 120),
                error="age must be empty or a number of years from 0 to 120",
            )
        ),
    },
    checks=pa.Check(lambda table: ~_differs_from_the_first_of_its_lesion(table), error=ONE_DX),
)


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
        a lesion_id or image_id is empty, has spaces around it or is a word for nothing; where an
        image_id has a suffix or stands twice; where dx is unknown or differs within a lesion; where
        an age is neither empty nor a number from 0 to 120.
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
            faults.append(say(rule, metadata[column], places, name=name))
        elif column == "dx":  # pandera names every column of a row that breaks a rule of the table
            faults.append(_say_two_diagnoses(metadata, places, name=name))
    if len(faults) == 1:
        raise ValueError(faults[0])
    raise ValueError(f"{name} breaks {len(faults)} rules:\n  " + "\n  ".join(faults))


def say(rule: str, values: pd.Series, places: Sequence[int], *, name: str) -> str:
    """Say a rule, the first row that breaks it, what it has and how many more there are."""
    return (
        f"{rule}; row {places[0] + 2} of {name} has {values.iloc[places[0]]!r}"
        f"{and_more(len(places) - 1, 'row')}."
    )


def and_more(n: int, noun: str) -> str:
    """Give ' (and 2 more rows)', or nothing where there are no more."""
    return f" (and {n} more {noun}{'s' if n > 1 else ''})" if n else ""


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
            f"{and_more(len(twice) - 1, 'column')}; delete or rename one of them."
        )
    added = [column for column in ADDED if column in columns]
    if added:
        raise ValueError(
            f"{' and '.join(ADDED)} are columns that the pipeline adds; {name} has "
            f"{' and '.join(added)} already; rename or delete what is there."
        )


def _say_two_diagnoses(metadata, places, *, name):
    """Say which lesion has two diagnoses, in which rows, and how many more such lesions are."""
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    lesion = lesions[places[0]]
    first = int((lesions == lesion).to_numpy().argmax())
    return (
        f"{ONE_DX}; lesion {lesion} has {dx[first]!r} in row {first + 2} of {name} and "
        f"{dx[places[0]]!r} in row {places[0] + 2}"
        f"{and_more(lesions[places].nunique() - 1, 'lesion')}; correct the dx or the lesion_id."
    )
