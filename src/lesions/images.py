"""Photographs from files: reading, cropping, resizing, many at a time."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def read_image(path: Path) -> np.ndarray:
    """Read a photograph as uint8 RGB `(height, width, 3)`.

    Raises
    ------
    ValueError
        If OpenCV cannot decode the file to its end.
    """
    encoded = np.fromfile(path, np.uint8)
    # Not cv2.imread(), which fills what a truncated file lacks with grey and goes on.
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if encoded.size else None
    if image is None:
        raise ValueError(
            f"{path} must be a whole image; OpenCV cannot decode its {encoded.size} bytes; "
            f"fetch it again"
        )
    return image


def central_square(image: np.ndarray) -> np.ndarray:
    """Give the largest square in the middle of `image`, a view of `(side, side, 3)`."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize_images(
    paths: Sequence[Path], out: np.ndarray, *, size: int, interpolation: str, crop: str
) -> None:
    """Fill `out` with the photographs at `paths`, resized; threads over all cores.

    Parameters
    ----------
    paths
        Row i of `out` is read from `paths[i]`.
    out
        uint8 `(len(paths), size, size, 3)`, RGB; written in place (it may be a memory map).
    size
        Height and width in px.
    interpolation
        A key of `INTERPOLATIONS`.
    crop
        `none`, or `square` for the central square first.

    Raises
    ------
    ValueError
        If a file cannot be decoded.
    """
    flag = INTERPOLATIONS[interpolation]

    def fill(row: int) -> None:
        image = read_image(paths[row])
        if crop == "square":
            image = central_square(image)
        out[row] = cv2.resize(image, (size, size), interpolation=flag)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(fill, range(len(paths)))
        for _ in tqdm(done, total=len(paths), desc="resize", unit="image", disable=None):
            pass
