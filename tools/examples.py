"""Draw the synthetic photographs that come with the package, one of each diagnosis.

Run from the repository's folder: `python tools/examples.py`.
"""

from lesions.pipeline.cli import read_params  # noqa: F401 - it fixes the environment

from pathlib import Path

import cv2
import numpy as np

from lesions.datasets.ham10000 import CODES
from lesions.datasets.synthetic.camera import take_photograph
from lesions.datasets.synthetic.pigments import draw_lesion
from lesions.examples import FOLDER

SEED = 3
SIZE = (400, 300)  # px, width and height
JPEG_QUALITY = 85


def draw(dx: str) -> np.ndarray:
    """Return a photograph of an invented lesion, uint8 RGB of `SIZE`."""
    number = CODES.index(dx)
    lesion = draw_lesion(dx, np.random.default_rng([SEED, 1, number]))
    photograph = take_photograph(lesion, np.random.default_rng([SEED, 2, number]))
    return cv2.resize(photograph, SIZE, interpolation=cv2.INTER_AREA)


def write(folder: Path) -> None:
    """Write `<diagnosis>.jpg` for each diagnosis."""
    for dx in CODES:
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        jpeg = cv2.imencode(".jpg", draw(dx)[:, :, ::-1], quality)[1]
        (folder / f"{dx}.jpg").write_bytes(jpeg.tobytes())


if __name__ == "__main__":
    write(FOLDER)
