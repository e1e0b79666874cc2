"""Tables and numbers that pass between stages."""

import json
from pathlib import Path

import pandas as pd

IDS = ("image_id", "other_image_id", "lesion_id", "group")


def read_table(file: Path) -> pd.DataFrame:
    """Return a CSV table; ids are text, so that `007` keeps its zeros."""
    return pd.read_csv(file, dtype=dict.fromkeys(IDS, str))


def read_json(file: Path) -> dict:
    """Return the content of a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def write_json(file: Path, content: object, *, decimals: int = 9) -> None:
    """Write JSON, floats rounded to so many decimals; a smaller p value keeps two digits."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [rounded(item) for item in value]
        if not isinstance(value, float):
            return value
        return round(value, decimals) or float(f"{value:.2g}")

    text = json.dumps(rounded(content), indent=2, allow_nan=False, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")
