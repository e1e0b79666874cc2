"""The tables that pass between stages."""

from pathlib import Path

import pandas as pd

IDS = ("image_id", "other_image_id", "lesion_id", "group")


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV of ours; ids are words, so that those of digits alone keep their zeros."""
    return pd.read_csv(file, dtype=dict.fromkeys(IDS, str))
