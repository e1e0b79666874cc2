"""Synthetic dermatoscopy: invented lesions, drawn as the seven diagnoses are described.

Nothing here comes from a photograph. A lesion is a stack of pigment maps, through which light
passes by the Beer–Lambert law; a photograph is one view of the result.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lesions.datasets.ham10000 import CODES, IMAGE_FOLDERS, METADATA
from lesions.datasets.synthetic.camera import take_photograph
from lesions.datasets.synthetic.cohort import LESION_PREFIX, make_cohort
from lesions.datasets.synthetic.pigments import draw_lesion
from lesions.imaging.threads import map_in_threads

JPEG_QUALITY = 90


def write_dataset(
    folder: Path, *, n_images: int, seed: int, codes: Sequence[str] = CODES
) -> pd.DataFrame:
    """Write an invented cohort, metadata and photographs, in HAM10000's layout.

    Parameters
    ----------
    folder : Path
        Empty, or created if missing.
    n_images : int
        Photographs, at least 56, of 600 × 450 px.
    seed : int
        The same seed gives the same bytes, whatever the number of threads.
    codes : sequence of str
        The diagnoses to draw.

    Returns
    -------
    DataFrame
        The metadata, from `lesions.datasets.synthetic.cohort.make_cohort`.
    """
    cohort = make_cohort(n_images, seed=seed, codes=codes)
    first, second = [folder / name for name in IMAGE_FOLDERS]
    for path in (first, second):
        path.mkdir(parents=True)
    cohort.to_csv(folder / METADATA, index=False)
    in_second = set(cohort["image_id"].iloc[(n_images + 1) // 2 :])

    def write_lesion(group) -> None:
        lesion_id, rows = group
        number = int(lesion_id.removeprefix(LESION_PREFIX))
        lesion = draw_lesion(rows["dx"].iloc[0], np.random.default_rng([seed, 1, number]))
        for view, image_id in enumerate(rows["image_id"], start=1):
            image = take_photograph(lesion, np.random.default_rng([seed, 2, number, view]))
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            path = (second if image_id in in_second else first) / f"{image_id}.jpg"
            path.write_bytes(jpeg.tobytes())

    map_in_threads(write_lesion, list(cohort.groupby("lesion_id")), desc="draw", unit="lesion")
    return cohort
