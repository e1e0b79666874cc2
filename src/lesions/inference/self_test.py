"""What a model answers to a photograph that comes with the package."""

from collections.abc import Sequence

import numpy as np

from lesions.examples import list_examples
from lesions.imaging.uploads import read_upload
from lesions.inference.exported import ExportedModel

TOLERANCE = 0.01  # of a probability; processors differ in the last digits


def answer(model: ExportedModel) -> list[float]:
    """Return the calibrated probabilities of the photograph, in the order of the classes."""
    path = next(iter(list_examples().values()))
    image = read_upload(path.read_bytes(), name=path.name, **model.facts["resize"])
    return model.predict(image[np.newaxis]).probabilities[0].tolist()


def check(model: ExportedModel, stored: Sequence[float] | None) -> None:
    """Raise ValueError if a model does not answer as it did when it was exported.

    Parameters
    ----------
    stored
        What `answer` returned then; None if it is not known: then the answer must be probabilities.
    """
    found = answer(model)
    if stored is None:
        if not (np.all(np.isfinite(found)) and np.isclose(sum(found), 1)):
            raise ValueError(f"The model {model.facts['name']} answers {found}: no probabilities")
    elif len(stored) != len(found) or not np.allclose(found, stored, rtol=0, atol=TOLERANCE):
        raise ValueError(
            f"The model {model.facts['name']} answers {np.round(found, 4).tolist()} to the "
            f"self-test photograph, not {np.round(stored, 4).tolist()} as when it was exported"
        )
