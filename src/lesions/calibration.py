"""What a model's probabilities need before they are used, fitted on images set aside for it.

Half of the calibration part fits the temperature of `lesions.temperature`; the other half, which
has then chosen nothing, sets the thresholds of `lesions.conformal`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesions.conformal import thresholds
from lesions.taxonomy import PROBABILITIES
from lesions.temperature import DECIMALS, apply_temperature, fit_temperature, log_losses

MIN_IMAGES = 10  # of each half of the calibration part


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
    return _fit(part, first, coverage=coverage)


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


def _fit(part: pd.DataFrame, first: np.ndarray, *, coverage: float) -> dict:
    """Fit the temperature on the first half, the thresholds on the other; see `calibrate`."""
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


def _mean_loss(labels, probabilities):
    return round(float(log_losses(labels, probabilities).mean()), DECIMALS)
