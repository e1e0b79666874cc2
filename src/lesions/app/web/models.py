"""The models that a server has, and what it says of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lesions.app.models import find_model, list_models
from lesions.inference.exported import ExportedModel


class Served(NamedTuple):
    """A loaded model, and what stage `export` measured of it, `{}` if its JSON is not there."""

    model: ExportedModel
    measured: Mapping


def load_models(names: Sequence[str]) -> dict[str, Served]:
    """Return name to model, that of the package first.

    Parameters
    ----------
    names
        Names or paths; empty: all of `lesions.app.models.list_models`.

    Raises
    ------
    ValueError
        If one cannot be loaded, or two have the same name.
    """
    paths = [find_model(name) for name in names] or list(list_models().values())
    if not paths:
        raise ValueError("No model is installed; give --model the path of an ONNX file")
    served = {}
    for path in paths:
        if path.stem in served:
            raise ValueError(f"Two models are called {path.stem}; rename the file {path}")
        served[path.stem] = Served(ExportedModel(path), read_measured(path))
    return served


def read_measured(path: Path) -> dict:
    """Return the JSON that stage `export` wrote beside a model, `{}` if it is not there."""
    file = path.with_suffix(".json")
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def describe(name: str, served: Served) -> dict:
    """Return what the page shows of a model; see `lesions.app.web.answers.Model`."""
    facts = served.model.facts
    conformal = facts["calibration"]["conformal"]
    return {
        "name": name,
        "study": facts["profile"],
        "classes": facts["classes"],
        "calibrated": facts["calibration"]["temperature"] is not None,
        "coverage": conformal["coverage"] if conformal else None,
        "tells_unlike": bool(facts["distance"]["threshold"]),
        "explains": "class_map" in served.model.outputs,
        "synthetic": facts["source"] == "synthetic",
        "scores": served.measured.get("scores"),
    }
