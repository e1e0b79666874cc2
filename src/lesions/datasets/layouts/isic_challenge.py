"""The ISIC challenges' training and test data: 2017, 2018, 2019, 2020 and 2024.

A table of the truth, and further tables in the same folder about the same images: lesions, age,
sex, site.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from lesions.datasets.layouts.found import Folder, Found, convert_table, find_columns
from lesions.datasets.layouts.ham10000 import pick
from lesions.datasets.layouts.side_tables import COLUMNS, IMAGE, join_side_tables
from lesions.datasets.layouts.tables import find_tables, read_header, read_table
from lesions.datasets.metadata_schema import and_more

# Dataverse's files end in .tab, or have no suffix if saved from their URL.
FILE_NAMES = {
    f"isic2018_task3_{partition}_groundtruth{suffix}"
    for partition in ("training", "validation", "test")
    for suffix in (".csv", ".tab", "")
}
FORM_2017 = ["melanoma", "seborrheic_keratosis"]  # neither: a naevus
MALIGNANT = ("target", "malignant")  # 2024: 0 or 1


def find(folder: Folder, columns: Mapping[str, str]) -> list[Path]:
    """Return the tables of the truth; those named so, if there are any, before predictions."""
    named = [path for path in folder.files if path.name.lower() in FILE_NAMES]
    tables = [path for path in find_tables(folder.files) if path not in named]
    tables = [path for path in tables if _is_truth(read_header(path), columns)]
    found = sorted({*named, *tables})
    return [path for path in found if "groundtruth" in path.name.lower()] or found


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return the truth, joined with what other tables say about its images."""
    expected = "a *_GroundTruth.csv, train.csv or train-metadata.csv of the ISIC"
    path = pick(find(folder, columns), folder.path, expected=expected, setting=setting)
    table = read_table(path)
    if "dx" not in columns:
        table = _decode(table, name=path.name)
    found = find_columns(table, COLUMNS | {"dx": ("dx",)}, columns, name=path.name)
    table = join_side_tables(table, found["image_id"], find_tables(folder.files), truth=path)
    found = find_columns(table, COLUMNS | {"dx": ("dx",)}, columns, name=path.name)
    return Found("isic_challenge", convert_table(table, found), folder.images, None, path.name)


def _is_truth(header, columns):
    header = set(header)
    return bool(header & {*IMAGE, columns.get("image_id")}) and bool(
        {"image", "MEL", "NV"} <= header
        or {"image_id", *FORM_2017} <= header
        or {"image_name", "benign_malignant"} <= header
        or ("isic_id" in header and header & {*MALIGNANT})
    )


def _decode(table, *, name):
    """Return the table with the truth in a column `dx`, as that year's challenge states it."""
    malignant = next((column for column in MALIGNANT if column in table), None)
    if {"image_id", *FORM_2017} <= set(table):
        ones = _read_ones(table[FORM_2017], name=name, at_least=0)
        dx = ones.idxmax(axis=1).where(ones.any(axis=1), "nevus")
        return table.drop(columns=FORM_2017).assign(dx=dx)
    if "benign_malignant" in table:
        return table.assign(dx=table["benign_malignant"]).drop(columns="benign_malignant")
    if malignant:
        ones = _read_ones(table[[malignant]], name=name, at_least=0)
        dx = ones[malignant].map({True: "malignant", False: "benign"})
        return table.drop(columns=malignant).assign(dx=dx)
    classes = [column for column in table if column.isupper()]
    dx = _read_ones(table[classes], name=name, at_least=1).idxmax(axis=1).str.lower()
    return table.drop(columns=classes).assign(dx=dx)


def _read_ones(texts, *, name, at_least):
    """Return where a table has 1; raise ValueError if a row has other numbers, or several ones."""
    numbers = texts.apply(pd.to_numeric, errors="coerce")
    wrong = ~numbers.isin([0, 1]).all(axis=1) | ~(numbers == 1).sum(axis=1).between(at_least, 1)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = ", ".join(f"{column} {text!r}" for column, text in texts.iloc[row].items())
        raise ValueError(
            f"Row {row + 2} of {name}: not exactly one diagnosis{and_more(wrong.sum() - 1, 'row')},"
            f" but {found}; correct it: {'a' if at_least else 'at most a'} single 1, all else 0"
        )
    return numbers == 1
