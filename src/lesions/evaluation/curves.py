"""Tables for plots, numbers rounded to six decimals, long curves thinned."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from lesions.evaluation.metrics import confidence_bins
from lesions.evaluation.predictions import check_predictions
from lesions.evaluation.screening import binarize, screening_tasks

N_POINTS = 200  # of a curve
DECIMALS = 6


def roc_table(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    codes: Sequence[str],
    malignant: Collection[str],
) -> pd.DataFrame:
    """Return the ROC curve of each class against all others, and of malignant against benign.

    Returns
    -------
    DataFrame
        `dx` (a class or `malignant`), `false_positive_rate`, `sensitivity`; at most 200 points
        per curve, none for a class without positive or without negative images.
    """

    def curve(positive, scores):
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        return {"false_positive_rate": false_positive_rate, "sensitivity": sensitivity}

    return _stack_curves(labels, probabilities, curve, codes, malignant)


def precision_recall_table(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    codes: Sequence[str],
    malignant: Collection[str],
) -> pd.DataFrame:
    """Return `dx`, `sensitivity` and `ppv` of each threshold, otherwise like `roc_table`.

    Thresholds ascend. The point that scikit-learn adds, PPV 1 at sensitivity 0, belongs to no
    threshold and is left out.
    """

    def curve(positive, scores):
        ppv, sensitivity, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
        return {"sensitivity": sensitivity[:-1], "ppv": ppv[:-1]}

    return _stack_curves(labels, probabilities, curve, codes, malignant)


def reliability_table(
    labels: np.ndarray, probabilities: Mapping[str, np.ndarray], *, n_bins: int
) -> pd.DataFrame:
    """Return the reliability diagram: accuracy by confidence.

    Parameters
    ----------
    probabilities
        `raw` and, if the model is calibrated, `calibrated`.

    Returns
    -------
    DataFrame
        `probabilities` (the name), `bin_low`, `bin_high`, `n_images`, `confidence` (mean
        probability of the predicted class), `accuracy`; without empty bins.
    """
    tables = []
    for name, values in probabilities.items():
        _, values = check_predictions(labels, values)
        confidence, correct = values.max(axis=1), values.argmax(axis=1) == labels
        images = pd.DataFrame({"confidence": confidence, "accuracy": correct})
        by_bin = images.groupby(confidence_bins(confidence, n_bins=n_bins))
        table = by_bin.mean().assign(probabilities=name, n_images=by_bin.size())
        edges = {"bin_low": table.index / n_bins, "bin_high": (table.index + 1) / n_bins}
        tables.append(table.assign(**edges))
    columns = ["probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy"]
    return pd.concat(tables, ignore_index=True)[columns].round(DECIMALS)


def referral_table(
    labels: np.ndarray, probabilities: np.ndarray, *, referred: Sequence[float]
) -> pd.DataFrame:
    """Return the scores on the images that remain when the least confident are referred.

    Confidence is the probability of the predicted class; among equal ones, the first rows remain
    (risk–coverage curve: El-Yaniv, Wiener, JMLR 11:1605-1641, 2010).

    Parameters
    ----------
    referred
        Shares of the images, from 0 to below 1, rounded to a number of images; one always remains.

    Returns
    -------
    DataFrame
        `referred`, `n_images` (that remain), `accuracy`, `balanced_accuracy` over the classes that
        still have images: rare classes may disappear from it.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    actual = np.eye(probabilities.shape[1])[labels[order]]
    correct = actual * (probabilities.argmax(axis=1) == labels)[order, None]
    n_referred = np.round(np.asarray(referred) * len(labels)).astype(int)
    n_images = np.maximum(len(labels) - n_referred, 1)
    n_actual, n_correct = (counts.cumsum(axis=0)[n_images - 1] for counts in (actual, correct))
    sensitivity = n_correct / np.maximum(n_actual, 1)
    table = {
        "referred": referred,
        "n_images": n_images,
        "accuracy": n_correct.sum(axis=1) / n_images,
        "balanced_accuracy": sensitivity.sum(axis=1) / (n_actual > 0).sum(axis=1),
    }
    return pd.DataFrame(table).round(DECIMALS)


def confusion_table(
    labels: np.ndarray, probabilities: np.ndarray, *, codes: Sequence[str]
) -> pd.DataFrame:
    """Return `dx`, `predicted`, `n_images` and their `share` of the dx, one row per combination.

    The share of a dx without images is missing.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    cells = pd.MultiIndex.from_product([codes, codes], names=["dx", "predicted"])
    predicted = probabilities.argmax(axis=1)
    counts = np.bincount(labels * len(codes) + predicted, minlength=len(cells))
    table = pd.DataFrame({"n_images": counts}, index=cells).reset_index()
    table["share"] = table["n_images"] / table.groupby("dx")["n_images"].transform("sum")
    return table.round(DECIMALS)


def _stack_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    curve: Callable[..., dict],
    codes: Sequence[str],
    malignant: Collection[str],
) -> pd.DataFrame:
    """Return the thinned curves of all classes that have positive and negative images."""
    labels, probabilities = check_predictions(labels, probabilities)
    columns = list(curve(np.array([True, False]), np.array([1, 0])))
    tables = [pd.DataFrame(columns=["dx", *columns]).astype(dict.fromkeys(columns, float))]
    for name, diagnoses in ({dx: [dx] for dx in codes} | screening_tasks(codes, malignant)).items():
        columns = [codes.index(dx) for dx in diagnoses]
        positive, scores = binarize(labels, probabilities, columns)
        if positive.any() and not positive.all():
            table = pd.DataFrame(curve(positive, scores))
            rows = np.unique(np.linspace(0, len(table) - 1, N_POINTS).round().astype(int))
            tables.append(table.iloc[rows].assign(dx=name))
    return pd.concat(tables, ignore_index=True).round(DECIMALS)
