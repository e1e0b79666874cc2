"""The tables and the numbers that pass between stages."""

import json
from pathlib import Path

import pandas as pd

IDS = ("image_id", "other_image_id", "lesion_id", "group")


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV of ours; ids are words, so that those of digits alone keep their zeros."""
    return pd.read_csv(file, dtype=dict.fromkeys(IDS, str))


def to_json(scores: dict, *, decimals: int) -> str:
    """Write numbers as JSON text, floats rounded to so many decimals, in lists too."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [rounded(item) for item in value]
        if not isinstance(value, float):
            return value
        # A p value that would be written as 0 keeps two digits.
        return round(value, decimals) or float(f"{value:.2g}")

    return json.dumps(rounded(scores), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
