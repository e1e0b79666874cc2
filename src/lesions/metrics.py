"""How well probabilities name the diagnosis: headline numbers, each class, and the confusions.

Everywhere, `labels` are integers 0 to 6, `(n_images,)`, and `probabilities` `(n_images, 7)`, rows
sum to 1; `check_predictions` refuses any others. The predicted diagnosis is the most probable one,
the first of the taxonomy where two are equal. A class's recall is what clinicians call sensitivity.
"""

import json

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from lesions.taxonomy import CODES, N_CLASSES, PROBABILITIES

TOLERANCE = 1e-4  # of a row's sum; seven probabilities of six decimals are off by 3.5e-6 at most

# What must stand beside every score, by `data.source` of params.yaml.
CAVEATS = {
    "demo": "Synthetic demonstration data: scores mean nothing clinically.",
    "folder": "",
}


def headline(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Give the numbers that sum up a model.

    Macro values are plain means over the classes that have images, weighted values are means
    weighted by the classes' numbers of images. A class that is never predicted has precision 0.

    Returns
    -------
    dict
        `n_images`; `accuracy`; `balanced_accuracy`, the mean recall of the classes (Brodersen et
        al., ICPR 2010), by definition equal to `recall_macro`; `precision_`, `recall_` and `f1_`,
        each with `macro` and `weighted`; `roc_auc_macro`, the mean of the one-versus-rest areas
        under the ROC curve over the classes that have both positive and negative images, `None`
        where no class has.
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
    areas = [area for area in _areas(labels, probabilities) if area is not None]
    return {
        "n_images": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        # scikit-learn's own warns wherever a class without images is predicted.
        "balanced_accuracy": means["recall_macro"],
        **means,
        "roc_auc_macro": float(np.mean(areas)) if areas else None,
    }


def per_class(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, dict]:
    """Give each class's own numbers.

    Returns
    -------
    dict of str to dict
        `dx` to `precision`, `recall`, `f1` (each 0 where its denominator is 0), `support` (the
        number of images) and `roc_auc` against all others, `None` where the class has no image or
        has them all.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    *scores, support = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(N_CLASSES), zero_division=0
    )
    table = pd.DataFrame(np.transpose(scores), CODES, columns=["precision", "recall", "f1"])
    areas = _areas(labels, probabilities)
    return {
        dx: {**row, "support": int(n_images), "roc_auc": area}
        for (dx, row), n_images, area in zip(
            table.to_dict("index").items(), support, areas, strict=True
        )
    }


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count the images, int `(7, 7)`: rows are the diagnoses, columns what was predicted."""
    labels, probabilities = check_predictions(labels, probabilities)
    return confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(N_CLASSES))


def details(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Give what `headline` leaves out.

    Returns
    -------
    dict
        `classes`, see `per_class`; `confusion`, `dx` to predicted `dx` to the number of images;
        `classes_without_images`, which no macro mean counts.
    """
    classes = per_class(labels, probabilities)
    counts = pd.DataFrame(confusion(labels, probabilities), index=CODES, columns=CODES)
    return {
        "classes": classes,
        "confusion": counts.to_dict("index"),
        "classes_without_images": [dx for dx in CODES if classes[dx]["support"] == 0],
    }


def name_predictions(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Give the columns `actual` and `predicted` as codes, one row an image."""
    labels, probabilities = check_predictions(labels, probabilities)
    codes = np.array(CODES)
    return pd.DataFrame({"actual": codes[labels], "predicted": codes[probabilities.argmax(axis=1)]})


def take_partition(
    predictions: pd.DataFrame, partition: str = "test"
) -> tuple[np.ndarray, np.ndarray]:
    """Give labels and probabilities of one partition of a predictions table.

    Parameters
    ----------
    predictions
        `partition`, `label` and `p_akiec` to `p_vasc`; one row an image.
    partition
        `val`, `cal` or `test`.

    Raises
    ------
    ValueError
        If a column is missing or the partition has no row.
    """
    missing = [name for name in ("partition", "label", *PROBABILITIES) if name not in predictions]
    if missing:
        raise ValueError(
            f"Predictions must have the columns partition, label, {', '.join(PROBABILITIES)}; "
            f"{', '.join(missing)} missing; run the stage 'predict' again."
        )
    rows = predictions[predictions["partition"] == partition]
    if rows.empty:
        raise ValueError(
            f"Predictions must have rows of the partition '{partition}'; found none among "
            f"{len(predictions)} rows; look at the sizes in params.yaml's section 'split'."
        )
    return rows["label"].to_numpy(), rows[list(PROBABILITIES)].to_numpy()


def check_predictions(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give both as arrays, int and float64, after checking them.

    Raises
    ------
    ValueError
        If a shape is wrong, there is no image, a label is none of 0 to 6, or a row holds a
        probability outside 0 to 1 or does not sum to 1; rows are counted from 0.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or probabilities.shape[1] != N_CLASSES or not len(probabilities):
        raise ValueError(
            f"Probabilities must be (n_images, {N_CLASSES}), a column for each of "
            f"{', '.join(CODES)}, with an image at least; found {probabilities.shape}."
        )
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"Labels must be ({len(probabilities)},), one for each row of probabilities; "
            f"found {labels.shape}."
        )
    sums = probabilities.sum(axis=1)
    _refuse(~np.isin(labels, range(N_CLASSES)), labels, "Labels must be integers from 0 to 6")
    _refuse(
        ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1),
        probabilities,
        "Probabilities must be finite and from 0 to 1",
    )
    _refuse(
        ~(np.abs(sums - 1) <= TOLERANCE),
        sums,
        f"Probabilities must sum to 1 (within {TOLERANCE:g}) in every row",
    )
    return labels.astype(int), probabilities


def to_json(scores: dict, *, decimals: int) -> str:
    """Write numbers as JSON text, floats rounded to so many decimals."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return round(value, decimals) if isinstance(value, float) else value

    return json.dumps(rounded(scores), indent=2, allow_nan=False) + "\n"


def _areas(labels, probabilities):
    """Give each class's one-versus-rest area under the ROC curve, or None if it has none."""
    return [
        float(roc_auc_score(labels == label, probabilities[:, label]))
        if 0 < np.sum(labels == label) < len(labels)
        else None
        for label in range(N_CLASSES)
    ]


def _refuse(bad, values, rule):
    """Stop at the first bad row and name it."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{rule}; row {row} has {values[row].tolist()} ({bad.sum()} such rows of {len(bad)}); "
            "mend what wrote the predictions."
        )
