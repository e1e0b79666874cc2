"""Bootstrap intervals: patients or lesions are resampled, within each diagnosis.

Each resample draws n units with replacement, n being their number, and every measure is computed
again (Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 6 and 13). A unit is a
patient where the metadata name patients, otherwise a lesion. It brings all of its images: they are
alike, so that resampling images would give intervals that are too narrow. The interval covers the
sampling of units for one trained model and one mix of diagnoses. It covers neither another training
run nor another clinic. For a class with few units it is too narrow; with one or two,
`lesions.evaluation.intervals` gives none.

Two measures are biased upwards by resampling, whatever the model: the average precision, since
copies of a positive image have equal ranks, and the calibration error, since random gaps do not
cancel. Their resamples are re-centred on the point estimate. That does not correct the bias of the
point estimate itself, which the calibration error of few images has as well.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

MIN_DEFINED = 0.95  # share of resamples in which a measure must be defined to have an interval
RECENTRED = ("average_precision", "average_precision_macro", "calibration_error")
CHUNK_CELLS = 4_000_000  # images times resamples computed at once: 32 MB as float64


class BootstrapConfig(NamedTuple):
    """Settings of the bootstrap, and of the calibration error that it resamples."""

    n_resamples: int = 2000
    confidence: float = 0.95
    calibration_bins: int = 15
    seed: int = 0


def draw_weights(
    labels: np.ndarray, units: np.ndarray, *, n_resamples: int, seed: int
) -> np.ndarray:
    """Resample units within each diagnosis; return how often each image was drawn.

    A unit with several diagnoses, such as a patient, belongs to that with the fewest images, so
    that no resample loses a rare class by chance.

    Returns
    -------
    uint8 array
        `(n_images, n_resamples)`; each diagnosis keeps its number of units in every resample.
    """
    labels = np.asarray(labels)
    index, unique = pd.factorize(np.asarray(units))
    rarest_last = np.argsort(-np.bincount(labels)[labels], kind="stable")
    strata = np.empty(len(unique), dtype=labels.dtype)
    strata[index[rarest_last]] = labels[rarest_last]
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(unique), n_resamples), dtype=np.uint8)
    for label in np.unique(strata):
        members = np.flatnonzero(strata == label)
        for start, stop in _chunks(n_resamples, len(members)):
            counts[members, start:stop] = _count_draws(rng, len(members), stop - start)
    return counts[index]


def evaluate_resamples(
    measure: Callable[[np.ndarray], Mapping[str, np.ndarray]], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute measures of all images and of every resample, in chunks of bounded memory.

    Parameters
    ----------
    measure
        Takes float64 weights `(n_images, n)`, returns arrays whose last axis has length n.
    weights
        The result of `draw_weights`.

    Returns
    -------
    dict of str to array
        The last axis has length 1 + `n_resamples`: the point estimate, in which every image has
        weight 1, then the resamples.
    """
    chunks = [measure(np.ones((len(weights), 1)))]
    for start, stop in _chunks(weights.shape[1], len(weights)):
        chunks.append(measure(np.ascontiguousarray(weights[:, start:stop], dtype=float)))
    return {name: np.concatenate([chunk[name] for chunk in chunks], -1) for name in chunks[0]}


def estimate(values: np.ndarray, *, confidence: float, recentred: bool = False) -> dict:
    """Return a point estimate with its percentile interval.

    Parameters
    ----------
    values
        `(1 + n_resamples,)`: the point estimate and the resamples, NaN where undefined. Undefined
        resamples are left out; with more than 5 % of them there is no interval.
    confidence
        Level of the interval, between 0 and 1.
    recentred
        Shift the resamples, then clip them to 0 to 1, so that their mean is the point estimate.
    """
    value, resampled = float(values[0]), values[1:]
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    if len(defined) < MIN_DEFINED * len(resampled):
        return {"value": value, "low": None, "high": None}
    if recentred:
        defined = np.clip(defined + value - defined.mean(), 0, 1)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"value": value, "low": float(low), "high": float(high)}


def estimate_all(measured: Mapping[str, np.ndarray], *, confidence: float) -> dict[str, dict]:
    """Return the estimate of each measure; those in `RECENTRED` are re-centred."""
    return {
        name: estimate(values, confidence=confidence, recentred=name in RECENTRED)
        for name, values in measured.items()
    }


def _count_draws(rng, n_units, n_resamples):
    """Return how often each unit is drawn; more than 255 times does not happen."""
    drawn = rng.integers(n_units, size=(n_resamples, n_units))
    drawn += np.arange(n_resamples)[:, None] * n_units
    counts = np.bincount(drawn.ravel(), minlength=drawn.size)
    return counts.reshape(n_resamples, n_units).T


def _chunks(n_resamples, n_rows):
    step = max(1, CHUNK_CELLS // max(1, n_rows))
    return [(start, min(start + step, n_resamples)) for start in range(0, n_resamples, step)]
