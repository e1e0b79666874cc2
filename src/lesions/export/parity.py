"""How closely an exported model agrees with the Keras network that it was made of."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.comparison import compare_pairs
from lesions.inference.exported import ExportedModel
from lesions.taxonomy import probability_columns

MAX_LOSS = 0.01  # of balanced accuracy; more than this may not be lost by the interval's lower end
SHOWN = ("accuracy", "balanced_accuracy", "roc_auc_macro")


def compare_with_keras(
    keras: pd.DataFrame,
    exported: pd.DataFrame,
    calibrations: Mapping[str, Mapping],
    units: pd.DataFrame,
    config: BootstrapConfig,
    *,
    partition: str = "val",
) -> dict:
    """Return differences between an exported model and its Keras network on the same images.

    Parameters
    ----------
    keras, exported
        `image_id`, `partition`, `label`, `p_<code>`, not calibrated.
    calibrations
        `keras` and `exported` to the calibration of each.
    units
        `image_id` and `unit`, what the bootstrap resamples.
    partition
        Whose images are compared.

    Returns
    -------
    dict
        `partition`, `n_images`; `largest_difference` of a probability before calibration;
        `same_class`, share of images; `differences`, exported minus Keras, `SHOWN` to
        `difference`, `low` and `high`; `may_be_released`: the lower end of balanced accuracy is
        above -`MAX_LOSS`.
    """
    of_keras, of_exported = (
        t[t["partition"] == partition].reset_index(drop=True) for t in (keras, exported)
    )
    columns = probability_columns(
        [name.removeprefix("p_") for name in keras if name.startswith("p_")]
    )
    first, second = (t[columns].to_numpy() for t in (of_keras, of_exported))
    units = units.set_index("image_id").loc[of_keras["image_id"]].reset_index()
    tables = {"exported": of_exported, "keras": of_keras}
    pair = compare_pairs(tables, calibrations, units, config, partition=partition)[0]
    differences = {
        name: {key: pair["measures"][name][key] for key in ("difference", "low", "high")}
        for name in SHOWN
    }
    lowest = differences["balanced_accuracy"]["low"]
    return {
        "partition": partition,
        "n_images": len(of_keras),
        "largest_difference": float(np.abs(first - second).max()),
        "same_class": float((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
        "differences": differences,
        "may_be_released": lowest is not None and lowest > -MAX_LOSS,
    }


def largest_batch_difference(model: ExportedModel, images: np.ndarray) -> float:
    """Return the largest difference of a probability between images one by one and together."""
    together, _ = model.raw(images)
    alone = np.concatenate([model.raw(images[row : row + 1])[0] for row in range(len(images))])
    return float(np.abs(together - alone).max())
