"""Which images of a set are scored: those of one partition, or none.

While settings are being chosen (`evaluate.partition: val`), the study's validation images are
scored and nothing else: whoever looks at test images and then changes a setting has chosen it on
them.
"""

import pandas as pd

from lesions.taxonomy import PARTITION_NAMES

ONLY_TESTED_ON = (
    "Not scored: settings are being chosen on the study's validation images (evaluate.partition is "
    "val), so sets that are only tested on are left alone."
)
NO_TEST_IMAGES = (
    "Not scored: the study has no test images (sets.study.split.test_size is 0); its models are "
    "tested on other sets."
)


def why_not_scored(name: str, predictions: pd.DataFrame, *, partition: str) -> str:
    """Return the reason why a set is not scored, as a sentence; nothing if it is.

    Parameters
    ----------
    name
        Of the set.
    predictions
        Has `partition`, a row for each predicted image.
    partition
        `evaluate.partition` of params.yaml: `val` or `test`.
    """
    if name != "study" and partition == "val":
        return ONLY_TESTED_ON
    if name == "study" and partition == "test" and not (predictions["partition"] == "test").any():
        return NO_TEST_IMAGES
    return ""


def select_images(predictions: pd.DataFrame, *, partition: str) -> pd.DataFrame:
    """Return the rows of a partition; raise ValueError if there is none."""
    rows = predictions[predictions["partition"] == partition]
    if rows.empty:
        raise ValueError(
            f"None of the {len(predictions)} rows of the predictions is in the partition "
            f"{partition!r}, whose images evaluate.partition of params.yaml scores; set it to the "
            f"other one, or change sets.study.split so that there are {PARTITION_NAMES[partition]} "
            "images"
        )
    return rows.reset_index(drop=True)
