"""Probabilities that mean what they say: one temperature for a model, fitted on images set aside.

Networks are mostly too sure of themselves. Temperature scaling (Guo, Pleiss, Sun, Weinberger, "On
calibration of modern neural networks", ICML 2017, section 4.2) divides the logits by one number, T,
which minimises the negative log likelihood on images that the model has not seen. It never changes
which diagnosis is the most probable. The logits are taken from the probabilities: their logarithms
differ from them by a constant in each row, which softmax takes away.

Half of the calibration part fits T; the other half, which has then chosen nothing, sets the
thresholds of `lesions.conformal`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from lesions.conformal import thresholds
from lesions.predictions import check_predictions
from lesions.taxonomy import PROBABILITIES

SMALLEST = 1e-7  # stands for the zeros of probabilities that were written with six decimals
TEMPERATURES = (0.1, 10.0)  # where T is looked for
DECIMALS = 6  # of T and of what is measured with it
MIN_IMAGES = 10  # of each half of the calibration part


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Give softmax(log(p) / T), float64 `(n_images, 7)`, rows sum to 1.

    Parameters
    ----------
    probabilities
        `(n_images, 7)`; what is below 1e-7 counts as 1e-7.
    temperature
        Above 0; above 1 it makes the model less sure, below 1 surer.

    Raises
    ------
    ValueError
        If the temperature is not a finite number above 0.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"A temperature must be a finite number above 0; found {temperature}; "
            "run the stage 'calibrate' again."
        )
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=float), SMALLEST))
    return softmax(logits / temperature, axis=1)


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give every image's -log p of its own diagnosis, `(n_images,)`, natural logarithm.

    Their mean is the negative log likelihood. A p below 1e-7 counts as 1e-7, so that one image
    that the model ruled out does not make the mean infinite: the largest loss is 16.1.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Find the T that minimises the negative log likelihood, from 0.1 to 10, six decimals.

    The negative log likelihood is convex in 1 / T, so that there is one minimum. It lies at a bound
    where the model is right about every image (0.1) or no better than chance (10).

    Parameters
    ----------
    labels
        Integers 0 to 6, `(n_images,)`.
    probabilities
        `(n_images, 7)`, rows sum to 1, as the model gives them.
    """
    labels, probabilities = check_predictions(labels, probabilities)

    def loss(log_temperature):
        tempered = apply_temperature(probabilities, np.exp(log_temperature))
        return log_losses(labels, tempered).mean()

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-7}
    )
    return round(float(np.exp(found.x)), DECIMALS)


def calibration_part(
    predictions: pd.DataFrame, labels: pd.DataFrame, groups: pd.DataFrame
) -> pd.DataFrame:
    """Give the predictions of the partition `cal` with `lesion_id` and `group`.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_akiec` to `p_vasc`.
    labels
        Has `image_id` and `lesion_id` of all images.
    groups
        `image_id` and `group` of all images.

    Returns
    -------
    DataFrame
        Rows in the order of `predictions`, none where no image is set aside.

    Raises
    ------
    ValueError
        If an image has no lesion or no group, or has two.
    """
    part = predictions[predictions["partition"] == "cal"]
    for name, table in (("lesion_id", labels), ("group", groups)):
        known = table.set_index("image_id")[name]
        wrong = part[~part["image_id"].isin(known.index[~known.index.duplicated(keep=False)])]
        if len(wrong):
            raise ValueError(
                f"Every image must have one {name}; {len(wrong)} of the {len(part)} calibration "
                f"images have none or several, first {wrong['image_id'].iloc[0]}; run 'dvc repro'."
            )
        part = part.assign(**{name: part["image_id"].map(known)})
    return part.reset_index(drop=True)


def halve(part: pd.DataFrame, *, seed: int) -> np.ndarray:
    """Cut a table into two halves; images of one group stay together, stratified by diagnosis.

    The groups of each diagnosis are shuffled and dealt out in turn, so that the halves' numbers of
    groups differ by at most one in every diagnosis and in sum. A group counts as its first image's
    diagnosis.

    Parameters
    ----------
    part
        Has `group` and `label`; one row an image.
    seed
        The same seed cuts the same table in the same way.

    Returns
    -------
    bool array
        `(n_images,)`, true in the first half.
    """
    rng = np.random.default_rng(seed)
    groups = part.drop_duplicates("group").sort_values("group", ignore_index=True)
    shuffled = groups.iloc[rng.permutation(len(groups))].sort_values("label", kind="stable")
    starts = int(rng.integers(2))
    first = set(shuffled["group"].iloc[starts::2])
    return part["group"].isin(first).to_numpy()


def calibrate(part: pd.DataFrame, *, method: str, coverage: float, seed: int) -> dict:
    """Fit temperature and conformal thresholds on the images set aside for it.

    Parameters
    ----------
    part
        As `calibration_part` gives it.
    method
        `temperature`, or `none`: nothing is fitted.
    coverage
        Share of prediction sets that must hold the diagnosis.
    seed
        Cuts the part into its two halves.

    Returns
    -------
    dict
        `calibrated`, false or true. False: `reason`, and `temperature` and `conformal` are `None`.
        True: `method`; `temperature`, fitted on the first half; `n_images` and `n_lesions` of that
        half; `negative_log_likelihood` there, `before` and `after`; `conformal`, from the second
        half with the temperature applied, see `lesions.conformal.thresholds`.
    """
    if method == "none":
        return _not_calibrated("calibrate.method is none")
    if part.empty:
        return _not_calibrated(
            "the split sets no images aside for it (none is in the part 'cal'; see split.cal_size)"
        )
    first = halve(part, seed=seed)
    if min(first.sum(), (~first).sum()) < MIN_IMAGES:
        return _not_calibrated(
            f"each half of the calibration part must have {MIN_IMAGES} images; its {len(part)} "
            f"images in {part['group'].nunique()} groups make halves of {first.sum()} and "
            f"{(~first).sum()}; raise split.cal_size"
        )
    labels, probabilities = part["label"].to_numpy(), part[list(PROBABILITIES)].to_numpy()
    temperature = fit_temperature(labels[first], probabilities[first])
    tempered = apply_temperature(probabilities, temperature)
    return {
        "calibrated": True,
        "method": "temperature scaling",
        "temperature": temperature,
        "n_images": int(first.sum()),
        "n_lesions": int(part.loc[first, "lesion_id"].nunique()),
        "negative_log_likelihood": {
            "before": _mean_loss(labels[first], probabilities[first]),
            "after": _mean_loss(labels[first], tempered[first]),
        },
        "conformal": thresholds(labels[~first], tempered[~first], coverage=coverage),
    }


def apply_calibration(probabilities: np.ndarray, calibration: Mapping) -> np.ndarray:
    """Give the probabilities that a user gets: tempered where there is a temperature."""
    if calibration["temperature"] is None:
        return np.array(probabilities, dtype=float)
    return apply_temperature(probabilities, calibration["temperature"])


def describe_calibration(calibration: Mapping) -> str:
    """Say in a sentence what was fitted on what, or why nothing was."""
    if not calibration["calibrated"]:
        return calibration["reason"]
    return (
        f"temperature {calibration['temperature']:.2f}, fitted on {calibration['n_images']} images "
        f"of the calibration part"
    )


def _not_calibrated(why: str) -> dict:
    reason = f"not calibrated: {why}"
    return {"calibrated": False, "reason": reason, "temperature": None, "conformal": None}


def _mean_loss(labels, probabilities):
    return round(float(log_losses(labels, probabilities).mean()), DECIMALS)
