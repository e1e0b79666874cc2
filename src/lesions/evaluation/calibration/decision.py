"""The decision rule: which class is predicted, given the probabilities.

`plain` predicts the most probable class. `prior_adjusted` predicts the class c with the largest
p_c / prior_c ** exponent, the prior being the share of c among the training images: a rare class
then needs less probability. With the exponent 1 these are, up to a factor, the probabilities for
equally frequent classes (Saerens, Latinne, Decaestecker, Neural Comput 14:21-41, 2002, eq. 2.4);
the exponent is a parameter in the post-hoc logit adjustment of Menon et al., "Long-tail learning
via logit adjustment", ICLR 2021, section 4.1. It is chosen on the study's validation images alone.

`decision` is the result of `fit_decision`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lesions.evaluation.bootstrap import BootstrapConfig, estimate_all, evaluate_resamples
from lesions.evaluation.intervals import MIN_UNITS, NO_INTERVAL, measures_without_interval
from lesions.evaluation.metrics import class_measures, confusion_matrices, overall_measures
from lesions.probabilities import apply_calibration, decide
from lesions.taxonomy import class_codes, probability_columns

PLAIN = {"rule": "plain", "exponent": 0.0}
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(31))  # 0, which is plain, to 1.5
DECISION_MEASURES = ("accuracy", "balanced_accuracy")


def fit_decision(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    partitions: pd.DataFrame,
    *,
    rule: str,
    calibration: Mapping,
) -> dict:
    """Choose the exponent on the validation images.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_<code>` of each class.
    labels, partitions
        `image_id` and `label`, `image_id` and `partition`, of all of the study's images.
    rule
        `plain` or `prior_adjusted`.

    Returns
    -------
    dict
        `rule` and `exponent`, 0 if plain. If adjusted also `priors`, code to share of the training
        images; of the validation images `n_images` and the `balanced_accuracy`, `plain` and
        `prior_adjusted`.

    Raises
    ------
    ValueError
        If there are no validation images, or a class has no training images.
    """
    if rule == "plain":
        return dict(PLAIN)
    val = predictions[predictions["partition"] == "val"]
    if val.empty:
        raise ValueError(
            "calibrate.decision: prior_adjusted chooses its exponent on validation images, and the "
            "study has none; change sets.study.split, or set calibrate.decision: plain"
        )
    codes, actual = class_codes(predictions), val["label"].to_numpy()
    train = partitions.loc[partitions["partition"] == "train", "image_id"]
    trained = labels.set_index("image_id").loc[train, "label"].to_numpy()
    counts = np.bincount(trained, minlength=len(codes))  # stage `split` leaves no class out
    priors = counts / counts.sum()
    probabilities = apply_calibration(val[probability_columns(codes)].to_numpy(), calibration)
    exponent, scores = choose_exponent(actual, probabilities, priors)
    return {
        "rule": rule,
        "exponent": exponent,
        "priors": dict(zip(codes, priors.tolist(), strict=True)),
        "n_images": len(val),
        "balanced_accuracy": {"plain": scores[0.0], "prior_adjusted": scores[exponent]},
    }


def choose_exponent(
    labels: np.ndarray, probabilities: np.ndarray, priors: np.ndarray
) -> tuple[float, dict[float, float]]:
    """Return the best of `EXPONENTS`, of equal ones the smallest, and the scores of all.

    A score is the balanced accuracy, over the classes that have images, rounded to twelve decimals:
    sums that should be equal may differ in the last ones.
    """
    scores = {}
    for exponent in EXPONENTS:
        predicted = decide(probabilities, priors, exponent=exponent)
        measured = _measure(labels, predicted, np.ones((len(labels), 1)), len(priors))
        scores[exponent] = round(float(measured["balanced_accuracy"][0]), 12)
    return max(scores, key=scores.get), scores


def measure_decision(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray, *, n_classes: int
) -> dict[str, np.ndarray]:
    """Return `DECISION_MEASURES` and `sensitivity` for all images and for every resample."""
    return evaluate_resamples(lambda chunk: _measure(labels, predicted, chunk, n_classes), weights)


def score_decision(
    labels: np.ndarray,
    probabilities: np.ndarray,
    units: np.ndarray,
    decision: Mapping,
    weights: np.ndarray,
    config: BootstrapConfig,
    *,
    codes: Sequence[str],
) -> dict:
    """Return the scores of what the rule predicts from the probabilities that a user gets.

    Returns
    -------
    dict
        `rule`, `exponent`, estimates of `accuracy` and `balanced_accuracy`, and `sensitivity`, dx
        to estimate. Intervals are missing as in `lesions.evaluation.intervals`.
    """
    priors = np.array([decision["priors"][dx] for dx in codes]) if "priors" in decision else 1.0
    predicted = decide(probabilities, priors, exponent=decision["exponent"])
    measured = measure_decision(labels, predicted, weights, n_classes=len(codes))
    of_class = dict(zip(codes, measured.pop("sensitivity"), strict=True))
    scores = estimate_all(measured, confidence=config.confidence)
    for name in set(measures_without_interval(labels, units)) & set(scores):
        scores[name] |= NO_INTERVAL
    sensitivity = estimate_all(of_class, confidence=config.confidence)
    for label, dx in enumerate(codes):
        if len(np.unique(np.asarray(units)[labels == label])) < MIN_UNITS:
            sensitivity[dx] |= NO_INTERVAL
    return {
        "rule": decision["rule"],
        "exponent": decision["exponent"],
        **scores,
        "sensitivity": sensitivity,
    }


def _measure(labels, predicted, weights, n_classes):
    """Return `DECISION_MEASURES` and the `sensitivity` of each class of every resample."""
    matrices = confusion_matrices(labels, predicted, weights, n_classes=n_classes)
    overall = overall_measures(matrices)
    measured = {name: overall[name] for name in DECISION_MEASURES}
    return measured | {"sensitivity": class_measures(matrices)["sensitivity"]}
