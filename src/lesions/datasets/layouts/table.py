"""Any table whose columns the setting `columns` names."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.layouts.found import OPTIONAL, Folder, Found, convert_table, find_columns
from lesions.datasets.layouts.ham10000 import pick
from lesions.datasets.layouts.tables import PARQUET, find_tables, read_header, read_table


def find(folder: Folder, columns: Mapping[str, str]) -> list[Path]:
    """Return the tables with the columns for image and diagnosis, else Parquet, else all tables."""
    needed, tables = {columns["image_id"], columns["dx"]}, find_tables(folder.files)
    found = [path for path in tables if needed <= set(read_header(path))]
    parquet = [path for path in folder.files if path.suffix.lower() == PARQUET]
    return found or parquet or tables  # reading them says what is wrong


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return the metadata; a column that is not named is taken if it has our own name for it."""
    expected = f"a table with the columns {columns['image_id']} and {columns['dx']}"
    path = pick(find(folder, columns), folder.path, expected=expected, setting=setting)
    table = read_table(path)
    usual = {column: (column,) for column in (*COLUMNS, *OPTIONAL)}
    found = find_columns(table, usual, columns, name=path.name)
    return Found("table", convert_table(table, found), folder.images, None, path.name)
