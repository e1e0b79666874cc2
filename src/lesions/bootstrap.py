"""How far a number may be chance: intervals from lesions drawn again and again.

The bootstrap (Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 6 and 13) draws
as many lesions as there are, with replacement, within each diagnosis, and measures again; a lesion
brings all of its photographs. Photographs of one lesion are alike, so drawing images would make the
intervals too narrow. The interval lies between the percentiles of what was measured. It says what
other lesions of the same mix of diagnoses would give the same trained model: neither another
training run nor other clinics are in it. With few lesions in a class it is too narrow; with one or
two `lesions.scores` gives none.

Two measures grow by drawing images several times, whatever the model: the average precision, since
copies of a positive stand together, and the calibration error, since chance gaps do not cancel.
Their resamples are moved so that their mean is the number itself. The calibration error of few
images is above the true one as well, which no interval here mends.

Everywhere, an estimate is `{"value", "low", "high"}`, three floats or `None`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

DEFINED = 0.95  # an interval needs that share of resamples in which the number is defined
MOVED = ("average_precision", "average_precision_macro", "calibration_error")
N_CELLS = 4_000_000  # images times resamples that are worked on at once: 32 MB in float64


class Protocol(NamedTuple):
    """How all intervals of an evaluation are made, and what else all its scores share."""

    n_resamples: int = 2000
    confidence: float = 0.95
    calibration_bins: int = 15
    seed: int = 0


def draw_weights(
    labels: np.ndarray, lesions: np.ndarray, *, n_resamples: int, seed: int
) -> np.ndarray:
    """Draw lesions with replacement, within each diagnosis, and say how often each image is in.

    Parameters
    ----------
    labels
        Integers, `(n_images,)`; a lesion has one.
    lesions
        The lesion of every image, `(n_images,)`.
    n_resamples
        How many times to draw.
    seed
        The same seed draws the same from the same lesions.

    Returns
    -------
    uint8 array
        `(n_images, n_resamples)`; each diagnosis keeps its number of lesions in every resample.

    Raises
    ------
    ValueError
        If a lesion has two labels.
    """
    labels, names = np.asarray(labels), np.asarray(lesions)
    codes, units = pd.factorize(names)
    diagnoses = np.empty(len(units), dtype=labels.dtype)
    diagnoses[codes] = labels
    if (diagnoses[codes] != labels).any():
        lesion = names[np.argmax(diagnoses[codes] != labels)]
        raise ValueError(
            f"A lesion must have one label, or it cannot be drawn within its diagnosis; {lesion} "
            f"has {sorted(set(labels[names == lesion].tolist()))}; mend the metadata's dx."
        )
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(units), n_resamples), dtype=np.uint8)
    for label in np.unique(diagnoses):
        members = np.flatnonzero(diagnoses == label)
        for start, stop in _pieces(n_resamples, len(members)):
            counts[members, start:stop] = _draw(rng, len(members), stop - start)
    return counts[codes]


def over_resamples(
    measure: Callable[[np.ndarray], Mapping[str, np.ndarray]], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure all resamples, so many at once that memory stays small.

    Parameters
    ----------
    measure
        Takes float64 `(n_images, n)`; gives arrays whose last axis is those n resamples.
    weights
        As `draw_weights` gives them.

    Returns
    -------
    dict of str to array
        What `measure` gives, of all resamples.
    """
    parts = [
        measure(np.ascontiguousarray(weights[:, start:stop], dtype=float))
        for start, stop in _pieces(weights.shape[1], len(weights))
    ]
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def interval(values: np.ndarray, *, confidence: float) -> tuple[float | None, float | None]:
    """Give the percentile interval, `None, None` if under 95 % of the resamples are defined.

    Parameters
    ----------
    values
        `(n_resamples,)`; NaN where a resample has no such number, such as the PPV of a class for
        which no drawn image was taken. Those are left out.
    """
    defined = values[~np.isnan(values)]
    if len(defined) < DEFINED * len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def estimate(value: float | None, values: np.ndarray, *, confidence: float) -> dict:
    """Put a number and the interval of its resamples together; without a number, no interval."""
    low, high = (None, None) if value is None else interval(values, confidence=confidence)
    return {"value": value, "low": low, "high": high}


def estimates(
    points: Mapping[str, float | None], resampled: Mapping[str, np.ndarray], *, confidence: float
) -> dict[str, dict]:
    """Give an estimate for every name in `resampled`, in that order; those in `MOVED` are moved."""
    made = {}
    for name, values in resampled.items():
        value = points[name]
        if name in MOVED and value is not None:
            values = np.clip(values + value - np.nanmean(values), 0, 1)
        made[name] = estimate(value, values, confidence=confidence)
    return made


def _draw(rng, n_lesions, n_resamples):
    """Count how often each of the lesions is drawn; above 255 times is out of the question."""
    drawn = rng.integers(n_lesions, size=(n_resamples, n_lesions))
    drawn += np.arange(n_resamples)[:, None] * n_lesions
    counts = np.bincount(drawn.ravel(), minlength=drawn.size)
    return counts.reshape(n_resamples, n_lesions).T


def _pieces(n_resamples, n_rows):
    """Cut the resamples into pieces of at most `N_CELLS` numbers."""
    step = max(1, N_CELLS // max(1, n_rows))
    return [(start, min(start + step, n_resamples)) for start in range(0, n_resamples, step)]
