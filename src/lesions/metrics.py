"""How well probabilities name the diagnosis: headline numbers, each class, and the confusions.

Everywhere, `labels` are integers 0 to 6, `(n_images,)`, and `probabilities` `(n_images, 7)`, rows
sum to 1; `lesions.predictions.check_predictions` refuses any others. The predicted diagnosis is the
most probable one, the first of the taxonomy where two are equal. A class's recall is what
clinicians call sensitivity. What is not defined, such as a ratio whose denominator is 0, is `None`.
The same measures of many resamples at once are in `lesions.weighted`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    cohen_kappa_score,
    confusion_matrix,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from lesions.predictions import check_predictions
from lesions.taxonomy import CODES, N_CLASSES

# What `headline` gives beside `n_images`, and `per_class` likewise.
MEASURES = (
    "accuracy",
    "balanced_accuracy",
    *(
        f"{score}_{mean}"
        for mean in ("macro", "weighted")
        for score in ("precision", "recall", "f1")
    ),
    "roc_auc_macro",
    "average_precision_macro",
    "cohen_kappa",
    "matthews",
    "brier",
    "calibration_error",
)
CLASS_MEASURES = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "f1",
    "roc_auc",
    "average_precision",
)

# What must stand beside every score, by `data.source` of params.yaml.
CAVEATS = {
    "demo": "Synthetic demonstration data: scores mean nothing clinically.",
    "medmnist": "DermaMNIST names no lesions: one may be both trained and tested on.",
    **dict.fromkeys(("folder", "dataverse", "url", "kaggle"), ""),
}


def headline(
    labels: np.ndarray, probabilities: np.ndarray, *, calibration_bins: int = 15
) -> dict[str, int | float | None]:
    """Give the numbers that sum up a model.

    Macro values are plain means over the classes that have images, weighted values are means
    weighted by the classes' numbers of images. A class that is never predicted has precision 0.

    Returns
    -------
    dict
        `n_images`, then `MEASURES`: `accuracy`; `balanced_accuracy`, the mean recall of the classes
        (Brodersen et al., ICPR 2010; the ISIC 2018 challenge's metric), by definition equal to
        `recall_macro`; `precision_`, `recall_` and `f1_`, each with `macro` and `weighted`;
        `roc_auc_macro` and `average_precision_macro`, the means of the one-versus-rest areas under
        the ROC curve and of the one-versus-rest average precisions (sum of precision times step in
        recall, not interpolated), over the classes that have both positive and negative images;
        `cohen_kappa` (Cohen, Educ Psychol Meas 20:37-46, 1960), not weighted; `matthews`, of all
        classes (Gorodkin, Comput Biol Chem 28:367-374, 2004), `None` where all images have one
        diagnosis or all are taken for one; `brier`, see `brier_scores`; `calibration_error`, see
        there, with so many bins.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    means = {}
    for average in ("macro", "weighted"):
        *values, _ = precision_recall_fscore_support(
            labels, predicted, labels=np.unique(labels), average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), values, strict=True):
            means[f"{name}_{average}"] = float(value)
    n_truths, n_calls = len(np.unique(labels)), len(np.unique(predicted))
    agreement = n_truths > 1 or n_calls > 1 or labels[0] != predicted[0]
    return {
        "n_images": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        # scikit-learn's own warns wherever a class without images is predicted.
        "balanced_accuracy": means["recall_macro"],
        **means,
        "roc_auc_macro": _mean(_ranked(roc_auc_score, labels, probabilities)),
        "average_precision_macro": _mean(_ranked(average_precision_score, labels, probabilities)),
        "cohen_kappa": float(cohen_kappa_score(labels, predicted)) if agreement else None,
        "matthews": (
            float(matthews_corrcoef(labels, predicted)) if min(n_truths, n_calls) > 1 else None
        ),
        "brier": float(brier_scores(labels, probabilities).mean()),
        "calibration_error": calibration_error(labels, probabilities, n_bins=calibration_bins),
    }


def per_class(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, dict]:
    """Give each class's own numbers, the class against all others.

    Returns
    -------
    dict of str to dict
        `dx` to `n_images`, then `CLASS_MEASURES`, of the images by which of them have the diagnosis
        (true or false) and which are taken for it (positive or negative): `sensitivity`
        TP / (TP + FN), `specificity` TN / (TN + FP), `ppv` TP / (TP + FP), `npv` TN / (TN + FN),
        `f1` 2 TP / (2 TP + FP + FN); and, not depending on what is predicted, `roc_auc` and
        `average_precision`, `None` where the class has no image or has them all.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    tables = multilabel_confusion_matrix(
        labels, probabilities.argmax(axis=1), labels=range(N_CLASSES)
    )
    areas = _ranked(roc_auc_score, labels, probabilities)
    precisions = _ranked(average_precision_score, labels, probabilities)
    return {
        dx: {
            "n_images": tp + fn,
            "sensitivity": _ratio(tp, tp + fn),
            "specificity": _ratio(tn, tn + fp),
            "ppv": _ratio(tp, tp + fp),
            "npv": _ratio(tn, tn + fn),
            "f1": _ratio(2 * tp, 2 * tp + fp + fn),
            "roc_auc": area,
            "average_precision": precision,
        }
        for dx, (tn, fp, fn, tp), area, precision in zip(
            CODES, tables.reshape(-1, 4).tolist(), areas, precisions, strict=True
        )
    }


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give every image's Brier score, float64 `(n_images,)`, 0 (sure and right) to 2.

    It is the sum over the seven classes of (p - 1)² for the diagnosis and p² for the others (Brier,
    Mon Weather Rev 78:1-3, 1950); a model's score is the mean over the images.
    """
    return np.square(probabilities - np.eye(N_CLASSES)[labels]).sum(axis=1)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, n_bins: int) -> float:
    """Give the expected calibration error of the predicted diagnosis, 0 to 1.

    Images are put into bins by the probability of the predicted diagnosis, see `confidence_bins`.
    The error is the sum over bins of (share of all images in it) · |share of hits in it - mean
    probability in it| (Naeini, Cooper, Hauskrecht, AAAI 2015; Guo, Pleiss, Sun, Weinberger, ICML
    2017, eq. 3, who use 15 bins). With few images it is above 0 even for a calibrated model.
    """
    top, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = np.bincount(confidence_bins(top, n_bins=n_bins), weights=hits - top, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def confidence_bins(top: np.ndarray, *, n_bins: int) -> np.ndarray:
    """Give the bin of each probability, int 0 to `n_bins` - 1; bin b is (b, b + 1] / n_bins."""
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], top, side="left")


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count the images, int `(7, 7)`: rows are the diagnoses, columns what was predicted."""
    labels, probabilities = check_predictions(labels, probabilities)
    return confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(N_CLASSES))


def find_only_predicted(counts: Mapping[str, Mapping[str, int]]) -> str | None:
    """Return the class that is predicted for every image, or None where there are several.

    Parameters
    ----------
    counts
        Diagnosis to prediction to images.
    """
    predicted = {dx for row in counts.values() for dx, n_images in row.items() if n_images}
    return predicted.pop() if len(predicted) == 1 else None


def name_predictions(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Give the columns `actual` and `predicted` as codes, one row an image."""
    labels, probabilities = check_predictions(labels, probabilities)
    codes = np.array(CODES)
    return pd.DataFrame({"actual": codes[labels], "predicted": codes[probabilities.argmax(axis=1)]})


def _ranked(score: Callable, labels, probabilities):
    """Give each class's score against all others, or None where it has no image or has them all."""
    return [
        float(score(labels == label, probabilities[:, label]))
        if 0 < np.sum(labels == label) < len(labels)
        else None
        for label in range(N_CLASSES)
    ]


def _mean(values):
    """Give the mean of what is defined, or None."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _ratio(part, whole):
    return part / whole if whole else None
