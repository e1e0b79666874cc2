"""Rules for the metadata, and the messages about rows that break them."""

from collections.abc import Collection, Sequence

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.image_files import SUFFIXES

RESERVED_COLUMNS = ("label", "image_path")  # added by lesions.datasets.labels
# Values that pandas.read_csv takes for missing (its na_values), but for the empty string.
MISSING_MARKERS = r"#?N/A|#?NA|#N/A N/A|n/a|-?1\.#(?:IND|QNAN)|-?(?:NaN|nan)|<NA>|NULL|null|None"
# Each rule is its own message: the fault, with the value for {}; then how to fix it.
SEVERAL_DX = "several dx in one lesion; correct the dx or the lesion_id"


def _differs_within_lesion(metadata):
    """Mark rows whose dx differs from the first row of the lesion; an empty id is no lesion."""
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    return (dx != dx.groupby(lesions).transform("first")) & (lesions.str.strip() != "")


def _id_checks(column):
    return [
        pa.Check(lambda ids: ids.str.strip() != "", error=f"empty {column} {{}}; fill it in"),
        pa.Check(
            lambda ids: (ids == ids.str.strip()) | (ids.str.strip() == ""),
            error=f"{column} {{}} has surrounding spaces; remove them",
        ),
        pa.Check(
            lambda ids: ~ids.str.fullmatch(MISSING_MARKERS),
            error=f"{column} {{}} is a missing-value marker; choose another id",
        ),
    ]


SCHEMA = pa.DataFrameSchema(
    {
        "lesion_id": pa.Column(checks=_id_checks("lesion_id")),
        "image_id": pa.Column(
            checks=[
                *_id_checks("image_id"),
                pa.Check(
                    lambda ids: ~ids.str.lower().str.endswith(SUFFIXES),
                    error="image_id {} is a file name; remove the suffix",
                ),
                pa.Check(
                    lambda ids: ~ids.duplicated() | (ids.str.strip() == ""),
                    error="repeated image_id {}; keep one row per image",
                ),
            ]
        ),
        "dx": pa.Column(),
        "age": pa.Column(
            checks=pa.Check(  # text becomes NaN, which is not between
                lambda age: (age == "") | pd.to_numeric(age, errors="coerce").between(0, 120),
                error="age {} is not a number from 0 to 120; correct it, or leave it empty",
            )
        ),
    },
    checks=pa.Check(lambda table: ~_differs_within_lesion(table), error=SEVERAL_DX),
)


def check_metadata(
    metadata: pd.DataFrame, *, name: str, codes: Collection[str] | None = None
) -> None:
    """Raise ValueError if columns are missing, repeated or reserved, or rows break `SCHEMA`.

    The message counts the rows that break each rule and names the first, numbered as in the file
    (the header is row 1).

    Parameters
    ----------
    metadata : DataFrame
        HAM10000's columns and any others; all values are strings. The index counts the file's rows
        from 0, some of which may be left out.
    name : str
        What messages call the table, usually its file name.
    codes : collection of str, optional
        What dx may be; anything if left out.
    """
    check_columns(list(metadata.columns), name=name)  # first: the rules need them
    if metadata.empty:
        raise ValueError(f"{name} has a header but no rows; download it again")
    schema = SCHEMA
    if codes is not None:
        rule = f"unknown dx {{}}; expected one of {', '.join(codes)}"
        known = pa.Check(lambda dx: dx.isin(codes), error=rule)
        schema = SCHEMA.update_column("dx", checks=known)
    try:
        schema.validate(metadata, lazy=True)
    except SchemaErrors as errors:
        faults = _describe_faults(errors.failure_cases, metadata, name=name)
        if len(faults) == 1:
            raise ValueError(faults[0]) from None
        lines = "\n  ".join([f"{name} has {len(faults)} kinds of faults:", *faults])
        raise ValueError(lines) from None


def describe_fault(rule: str, values: pd.Series, rows: Sequence[int], *, name: str) -> str:
    """Return a message about the first of the `rows` that break a rule, and their number."""
    fault, _, fix = rule.format(repr(values[rows[0]])).partition("; ")
    return f"Row {rows[0] + 2} of {name}: {fault}{and_more(len(rows) - 1, 'row')}; {fix}"


def and_more(n: int, noun: str) -> str:
    """Return ' (and 2 more rows)', or '' if there are no more."""
    return f" (and {n} more {noun}{'s' if n > 1 else ''})" if n else ""


def check_columns(columns: Sequence[str], *, name: str) -> None:
    """Raise ValueError if columns of HAM10000 are missing, or any are repeated or reserved."""
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"{name} lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(repr, columns))}; separate columns by commas, and name them "
            f"{', '.join(COLUMNS)}"
        )
    refuse_repeated_columns(columns, name=name)
    reserved = [column for column in RESERVED_COLUMNS if column in columns]
    if reserved:
        raise ValueError(
            f"{name} has the columns {' and '.join(reserved)}, which the pipeline adds; rename or "
            "delete them"
        )


def refuse_repeated_columns(columns: Sequence[str], *, name: str) -> None:
    """Raise ValueError if two columns have the same name."""
    repeated = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    if repeated:
        raise ValueError(
            f"{name} has the column {repeated[0]!r} several times"
            f"{and_more(len(repeated) - 1, 'column')}; delete or rename the others"
        )


def _describe_faults(cases, metadata, *, name):
    faults = []
    for (column, rule), found in cases.groupby(["column", "check"], sort=False):
        rows = sorted(found["index"].astype(int))
        if rule != SEVERAL_DX:
            faults.append(describe_fault(rule, metadata[column], rows, name=name))
        elif column == "dx":  # pandera lists every column of a row that breaks a table's rule
            faults.append(_describe_several_dx(metadata, rows, name=name))
    return faults


def _describe_several_dx(metadata, rows, *, name):
    lesions, dx = metadata["lesion_id"], metadata["dx"]
    lesion = lesions[rows[0]]
    first = int((lesions == lesion).idxmax())
    return (
        f"Rows {first + 2} and {rows[0] + 2} of {name}: lesion {lesion} has two dx, {dx[first]!r} "
        f"and {dx[rows[0]]!r}{and_more(lesions[rows].nunique() - 1, 'lesion')}; correct the dx or "
        "the lesion_id"
    )
