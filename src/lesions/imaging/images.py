"""Photographs from files: reading, cropping, resizing."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lesions.imaging.formats import find_stated_size
from lesions.imaging.jpeg import decode_image, find_excess, find_size
from lesions.imaging.threads import map_in_threads

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
# With IMREAD_COLOR_RGB, OpenCV's names for grey mean the scale alone; those for colour mean BGR.
SCALES = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: 0,
}
KEPT = 16 * 1024**2  # bytes, more than the pixels of most photographs


def read_image(path: Path, *, at_least: int | None = None) -> np.ndarray:
    """Return the photograph in a file, as `decode_photograph` does.

    Raises
    ------
    ValueError
        If the file cannot be decoded completely, or its header states more than `jpeg.MAX_PIXELS`.
    """
    return decode_photograph(path.read_bytes(), name=str(path), at_least=at_least)


def decode_photograph(encoded: bytes, *, name: str, at_least: int | None = None) -> np.ndarray:
    """Return a photograph as uint8 RGB `(height, width, 3)`, upright by its EXIF orientation.

    A JPEG is decoded at the scale that `find_scale` returns for `at_least`, if that is given.
    `name` is the file's, for messages.

    Raises
    ------
    ValueError
        As `read_image`.
    """
    size = find_size(encoded)
    if fault := find_excess(size or find_stated_size(encoded)):
        raise ValueError(f"{name} is too large to decode: {fault}; make it smaller")
    scale = 1 if at_least is None else find_scale(size, at_least=at_least)
    image = decode_image(encoded, cv2.IMREAD_COLOR_RGB | SCALES[scale])
    if image is None:
        raise ValueError(
            f"{name} is not a complete image: OpenCV cannot decode its {len(encoded)} bytes; fetch "
            "it again"
        )
    return image


def find_scale(size: tuple[int, int] | None, *, at_least: int) -> int:
    """Return 8, 4, 2 or 1: the reduction at which a JPEG of this height and width can be decoded.

    libjpeg returns ⌈side / scale⌉ pixels, of which the shorter side must keep `at_least`.
    """
    if size is None:  # another format
        return 1
    return next(scale for scale in SCALES if scale == 1 or -(-min(size) // scale) >= at_least)


def central_square(image: np.ndarray) -> np.ndarray:
    """Return the largest central square of an image, a view of shape `(side, side, 3)`."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize_image(image: np.ndarray, *, pixels: int, interpolation: str, crop: str) -> np.ndarray:
    """Return a photograph as uint8 RGB `(pixels, pixels, 3)`; arguments as of `resize_images`."""
    if crop == "square":
        image = central_square(image)
    return cv2.resize(image, (pixels, pixels), interpolation=INTERPOLATIONS[interpolation])


def resize_images(
    paths: Sequence[Path],
    out: np.ndarray,
    *,
    pixels: int,
    interpolation: str,
    crop: str,
    decode: str = "full",
    desc: str | None = "resize",
) -> None:
    """Fill `out` with the resized photographs, in `lesions.imaging.threads.n_workers` threads.

    Parameters
    ----------
    paths : sequence of Path
        Row i of `out` is read from `paths[i]`.
    out : array of uint8, shape (len(paths), pixels, pixels, 3)
        RGB; written in place, and may be a memory map.
    pixels : int
        Height and width of the resized photographs.
    interpolation : str
        A key of `INTERPOLATIONS`.
    crop : {'none', 'square'}
        `square`: the central square, before resizing.
    decode : {'full', 'reduced'}
        `reduced`: a JPEG whose shorter side is at least twice, four or eight times `pixels` is
        decoded at 1/2, 1/4 or 1/8 (see `find_scale`) first. The result differs: each pixel is then
        a mean (libjpeg's scaled inverse DCT), while `linear` from 600 to 32 pixels reads two
        neighbours in every 19, so that hairs and noise become aliases. A side that is not a
        multiple of the scale is rounded up, which shifts the content by less than a pixel.
    desc : str or None
        Of the progress bar; `None`: no bar.

    Raises
    ------
    ValueError
        If a file cannot be decoded completely; all of it is read at any scale.
    """
    at_least = {"full": None, "reduced": pixels}[decode]
    settings = {"pixels": pixels, "interpolation": interpolation, "crop": crop}

    def fill(row: int) -> None:
        out[row] = resize_image(read_image(paths[row], at_least=at_least), **settings)

    _keep_memory()
    map_in_threads(fill, range(len(paths)), desc=desc)


def _keep_memory():
    """Let glibc keep the memory of one photograph for the next, which saves a quarter of the time.

    It keeps blocks up to the size of the largest one ever freed (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.empty(KEPT, np.uint8)
