"""PAD-UFES-20: photographs by smartphone.

Source: Pacheco et al., "PAD-UFES-20", Data in Brief 32:106221, 2020.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.layouts.found import Folder, Found, convert_table, find_columns
from lesions.datasets.layouts.ham10000 import pick
from lesions.datasets.layouts.tables import find_tables, read_header, read_table

COLUMNS = {
    "image_id": ("img_id",),
    "dx": ("diagnostic",),
    "lesion_id": ("lesion_id",),
    "patient_id": ("patient_id",),
    "age": ("age",),
    "sex": ("gender",),
    "localization": ("region",),
    "dx_type": ("biopsed",),
}
BIOPSED = {"true": "biopsied", "false": "not biopsied"}


def find(folder: Folder, columns: Mapping[str, str]) -> list[Path]:
    """Return the tables with the data set's columns for image and diagnosis."""
    needed = {columns.get("image_id", "img_id"), columns.get("dx", "diagnostic")}
    return [path for path in find_tables(folder.files) if needed <= set(read_header(path))]


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return the metadata, with `biopsed` as dx_type, and the images."""
    expected = "metadata.csv with img_id and diagnostic"
    path = pick(find(folder, columns), folder.path, expected=expected, setting=setting)
    table = read_table(path)
    metadata = convert_table(table, find_columns(table, COLUMNS, columns, name=path.name))
    if "dx_type" not in columns:
        words = metadata["dx_type"]
        metadata["dx_type"] = words.str.lower().map(BIOPSED).fillna(words)
    return Found("pad_ufes_20", metadata, folder.images, None, path.name)
