"""Made-up predictions that several tests share."""

import numpy as np
import yaml
from cloned import ROOT
from scipy.special import softmax

from lesions.evaluation.metrics import CLASS_MEASURES, MEASURES, compute_measures
from lesions.taxonomy import probability_columns

# The classes of the demonstration.
CLASSES = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["classes"]
CODES, NAMES, MALIGNANT = (CLASSES[key] for key in ("codes", "names", "malignant"))
LABELS = {dx: label for label, dx in enumerate(CODES)}
PROBABILITIES = probability_columns(CODES)


def make_predictions(seed=3, n_images=(30, 20, 40, 10, 50, 200, 15)):
    """Return labels, probabilities of two decimals, with many ties, and lesions.

    The model is right more often than not; some lesions have several images.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(range(7), n_images)
    logits = rng.normal(size=(len(labels), 7)) + 1.5 * np.eye(7)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = probabilities.round(2)
    # The largest probability absorbs the rounding error of the sum.
    largest = probabilities.argmax(axis=1)
    probabilities[np.arange(len(labels)), largest] += 1 - probabilities.sum(axis=1)
    lesions = [f"{label}-{rng.integers(n_images[label])}" for label in labels]
    return labels, probabilities.round(2), np.array(lesions)


def draw_labels(n_images, *, sharpness=1.0, seed=0):
    """Return labels drawn from true probabilities, and these with their logits × `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n_images, 7))
    labels = (rng.gumbel(size=logits.shape) + logits).argmax(axis=1)
    return labels, softmax(logits * sharpness, axis=1)


def certain(predicted, *, of=0.7):
    """Return `(n_images, 7)` with `of` at the predicted label and the rest shared equally."""
    probabilities = np.full((len(predicted), 7), (1 - of) / 6)
    probabilities[np.arange(len(predicted)), predicted] = of
    return probabilities


def point_measures(labels, probabilities, *, calibration_bins=15):
    """Return `MEASURES`, and dx to `CLASS_MEASURES`, of all images once; None if undefined."""
    ones = np.ones((len(labels), 1))
    found = compute_measures(labels, probabilities, ones, calibration_bins=calibration_bins)

    def plain(value):
        return None if np.isnan(value) else float(value)

    overall = {name: plain(found[name][0]) for name in MEASURES}
    classes = {
        dx: {name: plain(found[name][label, 0]) for name in CLASS_MEASURES}
        for label, dx in enumerate(CODES)
    }
    return overall, classes
