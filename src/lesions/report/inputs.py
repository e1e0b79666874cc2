"""Reading what other stages wrote, for the report and the model card."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import pandas as pd

TABLES = ("scores", "confusion", "roc", "precision_recall", "reliability", "referral")


def read_inputs(
    paths: object, *, models: Collection[str], ensembles: Collection[str], sets: Collection[str]
) -> dict:
    """Return the inputs of `page.render` and `model_card.render`.

    Parameters
    ----------
    paths : object
        Has the paths of stage `report` or `card` in dvc.yaml as attributes.
    models, ensembles, sets : collection of str
        Names in params.yaml; files of others are ignored.

    Returns
    -------
    dict
        `details` (model or ensemble to set, `study` first, to JSON), `calibrations` (model or
        ensemble to JSON), `trained_on` (model to JSON), `weights` (ensemble to model to number),
        `differences` and `audit` (JSON), the DataFrames `partitions`, `cohort` and, for the card,
        `labels`. For the report also the DataFrames `balance`, `learning_curves` and `TABLES` and,
        as bytes, `contact_sheet`, `near_duplicates` and `mistakes` (model or ensemble to picture).
    """
    scored = [*models, *ensembles]
    sets = sorted(sets, key=lambda name: name != "study")
    files = {
        "differences": paths.comparison / "differences.json",
        "audit": paths.audit / "counts.json",
        "details": {
            model: {name: paths.evaluations / f"{name}/{model}/details.json" for name in sets}
            for model in scored
        },
        "calibrations": {
            model: paths.evaluations / f"calibration/{model}.json" for model in scored
        },
        "trained_on": {model: paths.predictions / f"study/{model}.json" for model in models},
        "weights": {name: paths.predictions / f"study/{name}.json" for name in ensembles},
    }
    for name in ("partitions", "cohort", "labels", "balance", "contact_sheet"):
        if hasattr(paths, name):
            files[name] = getattr(paths, name)
    if hasattr(paths, "mistakes"):
        for name in (*TABLES, "learning_curves"):
            files[name] = paths.comparison / f"{name}.csv"
        files["near_duplicates"] = paths.audit / "near_duplicates.png"
        files["mistakes"] = {model: paths.mistakes / f"{model}.png" for model in scored}
    return _read(files)


def fingerprint(file: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read(files):
    """Return a dict of files as one of contents: JSON, a DataFrame of a CSV, otherwise bytes.

    In a CSV only an empty field is missing; `NA` and `null` are text.
    """
    if isinstance(files, dict):
        return {name: _read(file) for name, file in files.items()}
    if files.suffix == ".json":
        return json.loads(files.read_text(encoding="utf-8"))
    if files.suffix == ".csv":
        dtype = dict.fromkeys(("image_id", "lesion_id", "model", "set"), str)
        return pd.read_csv(files, keep_default_na=False, na_values=[""], dtype=dtype)
    return files.read_bytes()
