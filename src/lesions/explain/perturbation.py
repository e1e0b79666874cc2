"""Insertion and deletion: how far a prediction depends on what an explanation points at.

Petsiuk, Das, Saenko, "RISE", BMVC 2018. Pixels are changed in the order of an explanation, and the
probability of the explained class is followed; the score is its mean over all shares of changed
pixels (the area under the curve).
"""

import cv2
import numpy as np

from lesions.explain.estimates import Bootstrap
from lesions.explain.localization import GAUSSIAN, centred_gaussian
from lesions.explain.maps import enlarge
from lesions.inference.exported import BATCH_SIZE, ExportedModel
from lesions.probabilities import softmax

N_STEPS = 10
BLUR = 0.1  # standard deviation of the blur, in widths of the image


def delete(
    model: ExportedModel, images: np.ndarray, order: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Return the score while pixels become the photograph's mean colour: low is good.

    Parameters
    ----------
    model
        Is run on each image as it is, not on several views of it.
    images
        uint8 RGB `(n_images, pixels, pixels, 3)`.
    order
        float `(n_images, pixels, pixels)`; pixels with large values are changed first.
    classes
        Position of the class of each image, `(n_images,)`.

    Returns
    -------
    ndarray
        float64 `(n_images,)`, between 0 and 1.
    """
    colours = images.mean(axis=(1, 2), keepdims=True)
    end = np.broadcast_to(colours.astype(np.uint8), images.shape)
    return _follow(model, images, end, order, classes)


def insert(
    model: ExportedModel, images: np.ndarray, order: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Return the score while pixels of a blurred photograph become sharp: high is good.

    Parameters and result as of `delete`.
    """
    width = BLUR * images.shape[1]
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), width) for image in images])
    return _follow(model, blurred, images, order, classes)


def _follow(model, start, end, order, classes):
    """Return the mean probability of the classes on the way from one picture to another."""
    flat = order.reshape(len(order), -1)
    shares = np.linspace(0, 1, N_STEPS + 1)
    scores = []
    for first in range(0, len(order), BATCH_SIZE):
        rows = slice(first, first + BATCH_SIZE)
        # Position of each pixel in the order, from 0 for the largest value.
        positions = (-flat[rows]).argsort(axis=1, kind="stable").argsort(axis=1)
        curve = []
        for share in shares:
            changed = (positions < round(share * flat.shape[1])).reshape(order[rows].shape)
            pictures = np.where(changed[..., None], end[rows], start[rows])
            (logits,) = model.run(pictures, outputs=("logits",))
            probabilities = softmax(logits.astype(np.float64))
            curve.append(probabilities[np.arange(len(pictures)), classes[rows]])
        scores.append(np.trapezoid(curve, shares, axis=0))
    return np.concatenate(scores)


def measure_perturbation(
    model: ExportedModel,
    images: np.ndarray,
    chosen: np.ndarray,
    classes: np.ndarray,
    bootstrap: Bootstrap,
    *,
    seed: int,
) -> list[dict]:
    """Return insertion and deletion by the class map and by orders that know nothing.

    Parameters
    ----------
    model, images, classes
        As of `delete`.
    chosen
        Class maps, from `lesions.explain.maps.relative_maps`.

    Returns
    -------
    list of dict
        `order`, `insertion` and `deletion`, and `insertion_difference` and `deletion_difference`:
        what the class map has more, paired.
    """
    pixels = images.shape[1]
    by_chance = np.random.default_rng(seed).normal(size=chosen.shape)  # as coarse as the map
    orders = {
        "class map": enlarge(chosen, pixels=pixels),
        GAUSSIAN: centred_gaussian(len(images), pixels=pixels),
        "random": enlarge(by_chance, pixels=pixels),
    }
    functions = {"insertion": insert, "deletion": delete}
    found = {
        order: {
            name: function(model, images, ranks, classes) for name, function in functions.items()
        }
        for order, ranks in orders.items()
    }
    rows = []
    for order, values in found.items():
        row = {"order": order}
        for name in functions:
            more = found["class map"][name] - values[name]
            row[name] = bootstrap.mean(values[name])
            row[f"{name}_difference"] = bootstrap.mean(more) if order != "class map" else None
        rows.append(row)
    return rows
