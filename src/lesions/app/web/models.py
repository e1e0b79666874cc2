"""The models that a server has, and what it says of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from lesions.app.models import find_model, list_models
from lesions.app.web.answers import Model, Scores
from lesions.inference.exported import ExportedModel


class Measured(BaseModel):
    """What stage `export` measured of a model; None if its JSON is not there, or older."""

    scores: Scores | None = None
    self_test: list[float] | None = None


class Served(NamedTuple):
    """A loaded model, and what was measured of it."""

    model: ExportedModel
    measured: Measured = Measured()


def load_models(names: Sequence[str]) -> dict[str, Served]:
    """Return name to model, that of the package first.

    Parameters
    ----------
    names
        Names or paths; empty: all of `lesions.app.models.list_models`.

    Raises
    ------
    ValueError
        If one cannot be loaded or described, or two have the same name.
    """
    paths = [find_model(name) for name in names] or list(list_models().values())
    if not paths:
        raise ValueError("No model is installed; give --model the path of an ONNX file")
    served = {}
    for path in paths:
        name = path.stem.encode(errors="replace").decode()
        if name in served:
            raise ValueError(f"Two models are called {name}; rename the file {path}")
        served[name] = Served(ExportedModel(path), read_measured(path))
        scores = served[name].measured.scores
        if scores and set(scores.confusion) != set(served[name].model.codes):
            raise ValueError(
                f"{path.with_suffix('.json')} has scores of other classes than {path}; run "
                "stage export again, or remove the file"
            )
        describe(name, served[name])
    return served


def read_measured(path: Path) -> Measured:
    """Read the JSON that stage `export` wrote beside a model."""
    file = path.with_suffix(".json")
    if not file.is_file():
        return Measured()
    try:
        return Measured.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{file} is not what stage export writes beside a model ({_first_fault(error)}); run "
            "it again, or remove the file"
        ) from None


def describe(name: str, served: Served) -> Model:
    """Return what the page shows of a model; raise ValueError if its facts are of wrong types."""
    facts = served.model.facts
    conformal = facts["calibration"]["conformal"]
    try:
        return Model(
            name=name,
            study=facts["profile"],
            classes=facts["classes"],
            calibrated=facts["calibration"]["temperature"] is not None,
            coverage=conformal["coverage"] if conformal else None,
            tells_unlike=bool(facts["distance"]["threshold"]),
            explains="class_map" in served.model.outputs,
            synthetic=facts["source"] == "synthetic",
            scores=served.measured.scores,
        )
    except ValidationError as error:
        raise ValueError(
            f"The model {name} has facts that cannot be shown ({_first_fault(error)}); export it "
            "again"
        ) from None


def _first_fault(error):
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")
