"""How far the class maps of an exported model can be trusted, and what it sees without the lesion.

Every number is an estimate with a bootstrap interval over groups, within each diagnosis.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.estimates import Bootstrap
from lesions.explain.localization import measure_localization
from lesions.explain.maps import class_maps, evidence, relative_maps
from lesions.explain.painting import measure_shortcuts
from lesions.explain.perturbation import measure_perturbation
from lesions.explain.sanity import measure_randomization
from lesions.inference.exported import ExportedModel


class Explained(NamedTuple):
    """What a model says of some photographs, and why.

    `measures`
        `n_images`; `map`, its height and width; `randomization`, `perturbation`, `localization` and
        `shortcuts`, None where not measured.
    `probabilities`, `predicted`
        As of `lesions.inference.exported.Predictions`.
    `heats`
        Evidence for the predicted class, `(n_images, pixels, pixels)`.
    """

    measures: dict
    probabilities: np.ndarray
    predicted: np.ndarray
    heats: np.ndarray


def explain_images(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    masks: np.ndarray | None,
    config: BootstrapConfig,
    *,
    threads: int,
) -> Explained:
    """Return the predictions of a model, their explanations, and all measures of these.

    Parameters
    ----------
    path
        Of the model.
    images
        As it reads them, uint8 RGB `(n_images, pixels, pixels, 3)`.
    labels, units
        Diagnosis and group of each image, `(n_images,)`.
    masks
        bool `(n_images, pixels, pixels)`; None: nothing is measured that needs them.
    """
    model, bootstrap = ExportedModel(path, threads=threads), Bootstrap(labels, units, config)
    maps, found = class_maps(model, images), model.predict(images)
    chosen, pixels = relative_maps(maps, found.predicted), model.pixels
    heats = evidence(maps, found.predicted, pixels=pixels)
    seeded = {"seed": config.seed}
    measures = {
        "n_images": len(images),
        "map": list(chosen.shape[1:]),
        "randomization": measure_randomization(
            path, images, found.predicted, bootstrap, **seeded, threads=threads
        ),
        "perturbation": measure_perturbation(
            model, images, chosen, found.predicted, bootstrap, **seeded
        ),
        "localization": None,
        "shortcuts": None,
    }
    if masks is not None:
        kinds = {
            "class map of the predicted class": heats,
            "class map of the diagnosis": evidence(maps, labels, pixels=pixels),
        }
        measures["localization"] = measure_localization(kinds, masks, bootstrap)
        measures["shortcuts"] = measure_shortcuts(model, images, masks, bootstrap)
    return Explained(measures, found.probabilities, found.predicted, heats)
