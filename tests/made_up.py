"""Made-up predictions that several tests share."""

import numpy as np
from scipy.special import softmax


def world(seed=3, n_images=(30, 20, 40, 10, 50, 200, 15)):
    """Give labels, probabilities of two decimals, many of them equal, and lesions.

    The model is right more often than not; some lesions have several images.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(range(7), n_images)
    logits = rng.normal(size=(len(labels), 7)) + 1.5 * np.eye(7)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = probabilities.round(2)
    # What rounding took from the sum, or added to it, goes to the largest, which has room for it.
    largest = probabilities.argmax(axis=1)
    probabilities[np.arange(len(labels)), largest] += 1 - probabilities.sum(axis=1)
    lesions = [f"{label}-{rng.integers(n_images[label])}" for label in labels]
    return labels, probabilities.round(2), np.array(lesions)


def draw(n_images, *, sharpness=1.0, seed=0):
    """Give labels drawn from a model's true probabilities, and those with logits × `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n_images, 7))
    labels = (rng.gumbel(size=logits.shape) + logits).argmax(axis=1)
    return labels, softmax(logits * sharpness, axis=1)
