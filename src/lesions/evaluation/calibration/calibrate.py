"""Calibration of a model on the images of the partition `cal` or `val`.

One half of the images of `cal` fits the temperature (`lesions.evaluation.calibration.temperature`).
The other half, which has then influenced nothing, sets the thresholds of the prediction sets
(`lesions.evaluation.calibration.conformal`). All images of `val` fit the temperature: they may have
chosen the epoch, so that the coverage of prediction sets would not hold, and there are none.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesions.evaluation.calibration.conformal import fit_thresholds
from lesions.evaluation.calibration.temperature import DECIMALS, fit_temperature, log_losses
from lesions.probabilities import apply_temperature
from lesions.taxonomy import PARTITION_NAMES, class_codes, probability_columns

MIN_IMAGES = 10  # in each half of the images of `cal`, or in `val`


def collect_calibration_images(
    predictions: pd.DataFrame, labels: pd.DataFrame, groups: pd.DataFrame, *, partition: str
) -> pd.DataFrame:
    """Return the predictions of the partition with `lesion_id` and `group`.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_<code>` of each class.
    labels, groups
        `image_id` and `lesion_id`, `image_id` and `group`, of all images.
    partition
        `cal` or `val`.
    """
    images = predictions[predictions["partition"] == partition].reset_index(drop=True)
    for name, table in (("lesion_id", labels), ("group", groups)):
        images[name] = table.set_index("image_id").loc[images["image_id"], name].to_numpy()
    return images


def split_in_half(images: pd.DataFrame, *, seed: int) -> np.ndarray:
    """Return which images are in the first of two halves, bool `(n_images,)`.

    No `group` is in both. The groups of each diagnosis (the `label` of their first image) are
    shuffled and assigned alternately, so that the halves differ by at most one group in each
    diagnosis and in total.
    """
    rng = np.random.default_rng(seed)
    groups = images.drop_duplicates("group").sort_values("group", ignore_index=True)
    shuffled = groups.iloc[rng.permutation(len(groups))].sort_values("label", kind="stable")
    start = int(rng.integers(2))
    first = set(shuffled["group"].iloc[start::2])
    return images["group"].isin(first).to_numpy()


def calibrate(
    images: pd.DataFrame, *, method: str, partition: str, coverage: float, seed: int
) -> dict:
    """Fit the temperature and the thresholds of the prediction sets.

    Parameters
    ----------
    images
        The result of `collect_calibration_images`.
    method
        `temperature` or `none`.
    partition
        That of the images, `cal` or `val`.
    coverage
        Share of the prediction sets that should contain the diagnosis.

    Returns
    -------
    dict
        `calibrated`, bool. If false: `reason`, and `temperature` and `conformal` are None. If true:
        `method`; `temperature`; `partition`, `n_images` and `n_lesions` of the images that fitted
        it; `negative_log_likelihood` there, `before` and `after`; `conformal`, fitted on the other
        half of `cal` after applying the temperature, see
        `lesions.evaluation.calibration.conformal.fit_thresholds`, or None for `val`.
    """
    if method == "none":
        return _not_calibrated("calibrate.method is none")
    if images.empty:
        return _not_calibrated(
            f"the partition '{partition}' has no images; change sets.study.split so that it has "
            "some"
        )
    if partition == "cal":
        first = split_in_half(images, seed=seed)
        if min(first.sum(), (~first).sum()) < MIN_IMAGES:
            return _not_calibrated(
                f"halves of the calibration images have {first.sum()} and {(~first).sum()} images, "
                f"but need {MIN_IMAGES} (images: {len(images)}, groups: "
                f"{images['group'].nunique()}); change sets.study.split so that there are more"
            )
    else:
        first = np.full(len(images), True)
        if len(images) < MIN_IMAGES:
            return _not_calibrated(
                f"there are {len(images)} validation images, and {MIN_IMAGES} are needed; change "
                "sets.study.split so that there are more"
            )
    codes, labels = class_codes(images), images["label"].to_numpy()
    probabilities = images[probability_columns(codes)].to_numpy()
    temperature = fit_temperature(labels[first], probabilities[first])
    tempered = apply_temperature(probabilities, temperature)
    return {
        "calibrated": True,
        "method": "temperature scaling",
        "temperature": temperature,
        "partition": partition,
        "n_images": int(first.sum()),
        "n_lesions": int(images.loc[first, "lesion_id"].nunique()),
        "negative_log_likelihood": {
            name: round(float(log_losses(labels[first], values[first]).mean()), DECIMALS)
            for name, values in (("before", probabilities), ("after", tempered))
        },
        "conformal": None
        if partition == "val"
        else fit_thresholds(labels[~first], tempered[~first], codes=codes, coverage=coverage),
    }


def describe_calibration(calibration: Mapping) -> str:
    """Return in words what was fitted on which images, or why nothing was."""
    if not calibration["calibrated"]:
        return calibration["reason"]
    return (
        f"temperature {calibration['temperature']:.2f}, fitted on {calibration['n_images']} "
        f"{PARTITION_NAMES[calibration['partition']]} images"
    )


def _not_calibrated(why):
    reason = f"not calibrated: {why}"
    return {"calibrated": False, "reason": reason, "temperature": None, "conformal": None}
