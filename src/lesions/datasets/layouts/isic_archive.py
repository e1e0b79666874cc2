"""What the ISIC archive exports (isic-archive.com, or its client isic-cli)."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.layouts.found import MISSING, Folder, Found, convert_table, find_columns
from lesions.datasets.layouts.ham10000 import pick
from lesions.datasets.layouts.tables import find_tables, read_header, read_table

# From the most general to the most specific.
LEVELS = ("diagnosis", *(f"diagnosis_{level}" for level in range(1, 6)))
COLUMNS = {
    "image_id": ("isic_id",),
    "lesion_id": ("lesion_id",),
    "patient_id": ("patient_id",),
    "age": ("age_approx",),
    "sex": ("sex",),
    "localization": ("anatom_site_general",),
    "dx_type": ("diagnosis_confirm_type",),
}


def find(folder: Folder, columns: Mapping[str, str]) -> list[Path]:
    """Return the tables with the archive's columns."""
    image_id, levels = columns.get("image_id", "isic_id"), {*LEVELS, columns.get("dx")}
    headers = {path: set(read_header(path)) for path in find_tables(folder.files)}
    return [
        path
        for path, header in headers.items()
        if image_id in header and header & levels and "target" not in header
    ]


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return the metadata; dx is the most specific diagnosis that is known, else the last one."""
    expected = "the archive's metadata.csv, with isic_id and diagnosis or diagnosis_1"
    path = pick(find(folder, columns), folder.path, expected=expected, setting=setting)
    table = read_table(path)
    if "dx" not in columns:
        levels = table[[level for level in LEVELS if level in table]]
        table["dx"] = [_most_specific(row, known) for row in levels.to_numpy()]
    found = find_columns(table, COLUMNS | {"dx": ("dx",)}, columns, name=path.name)
    return Found("isic_archive", convert_table(table, found), folder.images, None, path.name)


def _most_specific(levels, known):
    given = [text for text in levels if text.strip() not in MISSING]
    hits = [text for text in given if text in known or text.lower() in known]
    return (hits or given or [""])[-1]
