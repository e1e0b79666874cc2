"""Tables about the images of an ISIC challenge, beside that of the truth."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lesions.datasets.layouts.tables import read_header, read_table
from lesions.datasets.metadata_schema import and_more

IMAGE = ("image", "image_id", "image_name", "isic_id")
COLUMNS = {
    "image_id": IMAGE,
    "lesion_id": ("lesion_id",),
    "patient_id": ("patient_id",),
    "age": ("age_approx", "age_approximate"),
    "sex": ("sex",),
    "localization": ("anatom_site_general", "anatom_site_general_challenge"),
    "dx_type": ("diagnosis_confirm_type",),
}
SIDE = {name for column, names in COLUMNS.items() if column != "image_id" for name in names}


def join_side_tables(
    table: pd.DataFrame, image_id: str, paths: Iterable[Path], *, truth: Path
) -> pd.DataFrame:
    """Return a table of the truth with the columns of every table that shares image ids with it.

    Parameters
    ----------
    table : DataFrame
        From the file `truth`; the ids are in its column `image_id`.
    paths : iterable of Path
        Files that may be such tables; those without one of the columns `SIDE` are not read.

    Raises
    ------
    ValueError
        If such a table has several rows for an image, or contradicts another.
    """
    for path in paths:
        header = read_header(path)
        key = next((name for name in IMAGE if name in header), None)
        if path == truth or key is None or not SIDE & set(header):
            continue
        side = read_table(path)
        side = side[side[key].isin(table[image_id])]
        if side.empty:
            continue
        if side[key].duplicated().any():
            repeated = side[key][side[key].duplicated()].iloc[0]
            raise ValueError(f"{path.name} has several rows for {repeated!r}; keep one")
        side = side.set_index(key).reindex(table[image_id]).fillna("").set_axis(table.index)
        for column in side.columns:
            known = table.get(column, pd.Series("", table.index))
            differs = (known != "") & (side[column] != "") & (known != side[column])
            if column in SIDE and differs.any():
                raise ValueError(
                    f"{path.name} and another table differ in {column} for "
                    f"{table[image_id][differs].iloc[0]!r}{and_more(differs.sum() - 1, 'image')}; "
                    "correct one, or move it away"
                )
            table = table.assign(**{column: known.where(known != "", side[column])})
    return table
