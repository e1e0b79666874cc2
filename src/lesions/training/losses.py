"""Losses and class weights, for classes that are far from equally frequent."""

from collections.abc import Callable

import numpy as np

from lesions.networks.backend import tf

EPSILON = 1e-7  # added to probabilities; Keras clips them at it, which would hide that one is nan


def make_loss(
    loss: str,
    counts: np.ndarray,
    *,
    label_smoothing: float,
    class_weights: str,
    focal_gamma: float,
    class_balanced_beta: float,
    logit_adjustment: float,
) -> Callable:
    """Return a function of targets and probabilities, both `(n, n_classes)`, to losses `(n,)`.

    Parameters
    ----------
    loss
        `cross_entropy`; `focal`: times `(1 - p) ** focal_gamma` (Lin et al., ICCV 2017);
        `class_balanced`: weighted inversely to the effective number of images (Cui et al., CVPR
        2019);
        `logit_adjusted`: of logits plus `logit_adjustment` times the logarithm of the class's share
        (Menon et al., ICLR 2021).
    counts
        Training rows of each class, `(n_classes,)`.
    label_smoothing
        Share of each target that is spread evenly over all classes.
    class_weights
        As for `weigh_classes`.
    focal_gamma, class_balanced_beta, logit_adjustment
        Settings of the loss of that name.
    """
    weights = weigh_classes(counts, class_weights)
    if loss == "class_balanced":
        weights = _normalize((1 - class_balanced_beta) / (1 - class_balanced_beta**counts), counts)
    weights = tf.constant(weights, tf.float32)
    if loss == "logit_adjusted":
        offsets = tf.constant(logit_adjustment * np.log(counts / counts.sum()), tf.float32)

    def compute(targets, probabilities):
        logs = tf.math.log(probabilities + EPSILON)
        if loss == "logit_adjusted":
            logs = tf.nn.log_softmax(logs + offsets)
        if loss == "focal":
            logs *= tf.maximum(1 - probabilities, EPSILON) ** focal_gamma  # nan below 0
        smooth = targets * (1 - label_smoothing) + label_smoothing / len(counts)
        return -tf.reduce_sum(smooth * logs, axis=-1) * tf.linalg.matvec(targets, weights)

    return compute


def weigh_classes(counts: np.ndarray, class_weights: str) -> np.ndarray:
    """Return the weight of each class, float64 `(n_classes,)`; their mean over all rows is 1.

    Parameters
    ----------
    counts
        Training rows of each class, `(n_classes,)`, none of them 0.
    class_weights
        `none`: 1; `balanced`: inversely proportional to the counts, so that every class weighs the
        same; `sqrt`: to their square roots.
    """
    if class_weights == "none":
        return np.ones(len(counts))
    exponent = {"sqrt": 0.5, "balanced": 1}[class_weights]
    return _normalize(counts.astype(np.float64) ** -exponent, counts)


def cross_entropy(labels, probabilities):
    """Return the cross-entropy of integers `(n,)` and probabilities `(n, n_classes)`."""
    return -tf.math.log(tf.gather(probabilities, labels, batch_dims=1) + EPSILON)


def _normalize(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return weights * counts.sum() / (weights * counts).sum()
