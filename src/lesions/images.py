"""Photographs from files: reading, cropping, resizing, many at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lesions import jpeg
from lesions.cores import n_workers

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
CHUNK = 16  # photographs that a thread takes at once
KEPT = 16 * 1024**2  # bytes, more than the pixels of most photographs


def read_image(path: Path, *, at_least: int | None = None) -> np.ndarray:
    """Read a photograph as uint8 RGB `(height, width, 3)`, turned upright as its EXIF data say.

    Parameters
    ----------
    path
        The file, of any format that OpenCV reads.
    at_least
        If given, a JPEG is decoded at the scale that `find_scale` gives for it.

    Raises
    ------
    ValueError
        If OpenCV cannot decode the file to its end, or a JPEG has more than `jpeg.MAX_PIXELS`.
    """
    encoded = path.read_bytes()
    size = jpeg.find_size(encoded)
    if fault := jpeg.find_excess(size):
        raise ValueError(f"{path} must be of a size to decode; {fault}; make it smaller")
    scale = 1 if at_least is None else find_scale(size, at_least=at_least)
    # Not cv2.imread(), which fills what a truncated file lacks with grey and goes on.
    pixels = np.frombuffer(encoded, np.uint8)
    try:
        image = cv2.imdecode(pixels, cv2.IMREAD_COLOR_RGB | SCALES[scale]) if encoded else None
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise  # the file may be whole
        image = None
    if image is None:
        raise ValueError(
            f"{path} must be a whole image; OpenCV cannot decode its {len(encoded)} bytes; "
            f"fetch it again"
        )
    return image


def find_scale(size: tuple[int, int] | None, *, at_least: int) -> int:
    """Give 8, 4, 2 or 1: the most that a JPEG can be reduced by while it is decoded.

    libjpeg gives ⌈side / scale⌉ pixels; the shorter side, which is that of the central square as
    well, must keep `at_least` of them.

    Parameters
    ----------
    size
        Height and width in px, in any order; `None`, for what is no JPEG, gives 1.
    at_least
        px.
    """
    if size is None:
        return 1
    return next(scale for scale in SCALES if scale == 1 or -(-min(size) // scale) >= at_least)


def central_square(image: np.ndarray) -> np.ndarray:
    """Give the largest square in the middle of `image`, a view of `(side, side, 3)`."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize_images(
    paths: Sequence[Path],
    out: np.ndarray,
    *,
    pixels: int,
    interpolation: str,
    crop: str,
    decode: str = "full",
) -> None:
    """Fill `out` with the photographs at `paths`, resized, in `n_workers` threads.

    Parameters
    ----------
    paths
        Row i of `out` is read from `paths[i]`.
    out
        uint8 `(len(paths), pixels, pixels, 3)`, RGB; written in place (it may be a memory map).
    pixels
        Height and width of the resized photographs.
    interpolation
        A key of `INTERPOLATIONS`.
    crop
        `none`, or `square` for the central square first.
    decode
        `full`, or `reduced`: a JPEG whose shorter side is at least twice, four or eight times
        `pixels` is decoded at 1/2, 1/4 or 1/8 (see `find_scale`), then cropped and resized from
        there. The result differs: libjpeg's scaled inverse DCT leaves out the frequencies that the
        smaller image cannot hold, so each of its pixels is a mean, where `linear` from 600 to 32
        pixels looks at two neighbours in every 19 and lets hairs and noise through as aliases.
        A side that is no multiple of the scale is rounded up, which shifts the content by less
        than a pixel of the reduced image. Files that are no JPEG are decoded fully.

    Raises
    ------
    ValueError
        If a file cannot be decoded to its end; at any scale the whole file is read.
    """
    flag = INTERPOLATIONS[interpolation]
    at_least = {"full": None, "reduced": pixels}[decode]

    def fill(row: int) -> None:
        image = read_image(paths[row], at_least=at_least)
        if crop == "square":
            image = central_square(image)
        out[row] = cv2.resize(image, (pixels, pixels), interpolation=flag)

    def fill_chunk(chunk: range) -> int:
        for row in chunk:
            fill(row)
        return len(chunk)

    rows = range(len(paths))
    chunks = [rows[start : start + CHUNK] for start in rows[::CHUNK]]
    _keep_memory()
    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # our own threads share the processors
    try:
        with (
            ThreadPoolExecutor(n_workers()) as workers,
            tqdm(total=len(paths), desc="resize", unit="image", disable=None) as bar,
        ):
            for n_done in workers.map(fill_chunk, chunks):
                bar.update(n_done)
    finally:
        cv2.setNumThreads(n_threads)


def _keep_memory():
    """Let the C library keep the memory of a photograph for the next one.

    Else glibc hands it back to the system and asks for it again, some 400 page faults a photograph,
    a quarter of the time with two threads. It keeps blocks up to the size of the largest that was
    ever freed (mallopt(3), M_MMAP_THRESHOLD), so one is freed here. Elsewhere this does nothing.
    """
    np.empty(KEPT, np.uint8)
