"""What a threshold, a bin or a referral costs: the curves.

`labels` and `probabilities` are as in `lesions.metrics`. The tables are for plotting: numbers are
rounded to six decimals and curves thinned.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from lesions.metrics import confidence_bins
from lesions.predictions import check_predictions
from lesions.questions import QUESTIONS, as_question
from lesions.taxonomy import CODES, N_CLASSES

CURVES = {**{dx: (dx,) for dx in CODES}, "malignant": QUESTIONS["malignant"]}
N_POINTS = 200  # of a curve
DECIMALS = 6


def roc_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Give the ROC curve of each class against all others, and of malignant against benign.

    Returns
    -------
    DataFrame
        `dx` (a code or `malignant`), `false_positive_rate`, `sensitivity`, at most 200 points a
        curve; no curve where images of only one kind are there.
    """

    def curve(positive, scores):
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        return {"false_positive_rate": false_positive_rate, "sensitivity": sensitivity}

    return _curves(labels, probabilities, curve)


def precision_recall_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Give sensitivity and PPV at each threshold, for the same questions as `roc_table`.

    Returns
    -------
    DataFrame
        `dx`, `sensitivity`, `ppv`, at most 200 points a curve, from the lowest threshold to the
        highest; scikit-learn's added last point, PPV 1 at sensitivity 0, is no threshold's and is
        left out.
    """

    def curve(positive, scores):
        ppv, sensitivity, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
        return {"sensitivity": sensitivity[:-1], "ppv": ppv[:-1]}

    return _curves(labels, probabilities, curve)


def reliability_table(
    labels: np.ndarray, probabilities: Mapping[str, np.ndarray], *, n_bins: int
) -> pd.DataFrame:
    """Give the reliability diagram: how often predictions of a confidence are right.

    Parameters
    ----------
    probabilities
        `raw` and, where there are any, `calibrated`.
    n_bins
        Of equal width, see `lesions.metrics.confidence_bins`.

    Returns
    -------
    DataFrame
        `probabilities` (the name), `bin_low`, `bin_high`, `n_images`, `confidence` (mean
        probability of the predicted diagnosis), `accuracy`; bins without images are left out.
    """
    tables = []
    for name, values in probabilities.items():
        _, values = check_predictions(labels, values)
        top = values.max(axis=1)
        images = pd.DataFrame({"confidence": top, "accuracy": values.argmax(axis=1) == labels})
        by_bin = images.groupby(confidence_bins(top, n_bins=n_bins))
        table = by_bin.mean().reset_index(names="bin")
        edges = {"bin_low": table["bin"] / n_bins, "bin_high": (table["bin"] + 1) / n_bins}
        table = table.assign(probabilities=name, **edges, n_images=by_bin.size().to_numpy()).drop(
            columns="bin"
        )
        tables.append(table)
    order = ["probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy"]
    return pd.concat(tables, ignore_index=True)[order].round(DECIMALS)


def referral_table(
    labels: np.ndarray, probabilities: np.ndarray, *, referred: Sequence[float]
) -> pd.DataFrame:
    """Give the scores on what is left when the least certain images are referred to a person.

    Certainty is the probability of the predicted diagnosis; of equal ones the first rows stay
    (risk-coverage curve: El-Yaniv, Wiener, JMLR 11:1605-1641, 2010).

    Parameters
    ----------
    referred
        Shares of the images, from 0, below 1; rounded to whole images, one always stays.

    Returns
    -------
    DataFrame
        `referred`, `n_images` (that stay), `accuracy`, `balanced_accuracy`, over the classes that
        have an image left: rare classes may drop out of it.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    truths = np.eye(N_CLASSES)[labels[order]]
    hits = truths * (probabilities.argmax(axis=1) == labels)[order, None]
    n_referred = np.round(np.asarray(referred) * len(labels)).astype(int)
    n_images = np.maximum(len(labels) - n_referred, 1)
    truths, hits = (counts.cumsum(axis=0)[n_images - 1] for counts in (truths, hits))
    sensitivity = np.divide(hits, truths, out=np.zeros_like(hits), where=truths > 0)
    table = {
        "referred": referred,
        "n_images": n_images,
        "accuracy": hits.sum(axis=1) / n_images,
        "balanced_accuracy": sensitivity.sum(axis=1) / (truths > 0).sum(axis=1),
    }
    return pd.DataFrame(table).round(DECIMALS)


def _curves(labels, probabilities, curve):
    """Put the curves of all questions that have images of both kinds into one table."""
    labels, probabilities = check_predictions(labels, probabilities)
    tables = []
    for name, codes in CURVES.items():
        positive, scores = as_question(labels, probabilities, codes)
        if 0 < positive.sum() < len(positive):
            table = pd.DataFrame(curve(positive, scores))
            rows = np.unique(np.linspace(0, len(table) - 1, N_POINTS).round().astype(int))
            tables.append(table.iloc[rows].assign(dx=name))
    if not tables:
        return pd.DataFrame(columns=["dx", *curve(np.array([True, False]), np.array([1, 0]))])
    table = pd.concat(tables, ignore_index=True)
    return table[["dx", *table.columns.drop("dx")]].round(DECIMALS)
