"""HAM10000 as Kaggle and Harvard Dataverse have it."""

import filecmp
from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.ham10000 import COLUMNS, METADATA
from lesions.datasets.layouts.found import Folder, Found, convert_table, find_columns
from lesions.datasets.layouts.tables import find_delimiter, find_tables, read_header, read_table
from lesions.datasets.metadata_schema import check_columns

# Dataverse's files end in .tab, or have no suffix if saved from their URL.
FILE_NAMES = {f"ham10000_metadata{suffix}" for suffix in (".csv", ".tab", "")}


def find(folder: Folder, columns: Mapping[str, str]) -> list[Path]:
    """Return the metadata files: by name, else by HAM10000's columns."""
    named = [path for path in folder.files if path.name.lower() in FILE_NAMES]
    needed = {columns.get(column, column) for column in COLUMNS}
    return named or [path for path in find_tables(folder.files) if needed <= set(read_header(path))]


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return metadata as they are in the file, and the images."""
    path = pick(find(folder, columns), folder.path, expected=METADATA, setting=setting)
    table = read_table(path)
    if columns:
        usual = {column: (column,) for column in COLUMNS}
        table = convert_table(table, find_columns(table, usual, columns, name=path.name))
        return Found("ham10000", table, folder.images, None, path.name)
    check_columns(list(table.columns), name=path.name)
    if "patient_id" in table and (table["patient_id"] == "").any():
        patients = table["patient_id"]
        table["patient_id"] = patients.where(patients != "", table["lesion_id"])
        return Found("ham10000", table, folder.images, None, path.name)
    header = path.read_text(encoding="utf-8-sig").partition("\n")[0]
    file = path if find_delimiter(header) == "," else None
    return Found("ham10000", table, folder.images, file, path.name)


def pick(found: list[Path], folder: Path, *, expected: str, setting: str) -> Path:
    """Return the only metadata file; raise ValueError if there is none, or more than one."""
    if not found:
        raise ValueError(
            f"No metadata in {folder} or below ({expected}); correct {setting}, name another "
            f"{setting.rpartition('.')[0]}.layout, or run 'dvc pull'"
        )
    if len(found) > 1:
        same = all(filecmp.cmp(found[0], path, shallow=False) for path in found[1:])
        raise ValueError(
            f"{len(found)} metadata files in {folder} ({setting}): "
            f"{', '.join(str(path.relative_to(folder)) for path in found)}"
            f"{' (identical)' if same else ''}; keep one and move the others away"
        )
    return found[0]
