"""Masks of the lesions, one file for each photograph."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lesions.imaging.images import central_square, read_image

LESION = 127  # grey levels above it are lesion
SUFFIX = "_segmentation.png"  # as HAM10000 and the ISIC's challenges call them
TOLERANCE = 0.01  # of the ratio of the sides: a mask may have more or fewer pixels


def read_masks(
    folder: Path,
    image_ids: Sequence[str],
    photographs: Sequence[Path],
    *,
    pixels: int,
    crop: str,
) -> np.ndarray:
    """Return masks as a network sees the photographs, bool `(n_images, pixels, pixels)`.

    Parameters
    ----------
    folder
        Holds `<image_id>_segmentation.png`, white on black, in the frame of the photograph.
    image_ids
        Of the photographs.
    photographs
        Their files.
    pixels, crop
        As of `lesions.imaging.images.resize_images`.

    Raises
    ------
    ValueError
        If a mask is missing or cannot be read, shows no lesion, or has another frame.
    """
    masks = np.empty((len(image_ids), pixels, pixels), bool)
    for row, (image_id, photograph) in enumerate(zip(image_ids, photographs, strict=True)):
        mask = _read(folder, image_id, photograph)
        mask = central_square(mask) if crop == "square" else mask
        size = (pixels, pixels)
        masks[row] = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > LESION
    return masks


def _read(folder, image_id, photograph):
    """Return a mask in its own size, uint8 `(height, width)`."""
    file = folder / f"{image_id}{SUFFIX}"
    if not file.is_file():
        raise ValueError(
            f"The mask {file} is missing; every validation photograph of the study needs one: add "
            "it, or set sets.study.masks: null"
        )
    mask = cv2.imdecode(np.frombuffer(file.read_bytes() or b" ", np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f"The mask {file} is not a complete image; fetch it again")
    if mask.max() <= LESION:
        raise ValueError(f"The mask {file} shows no lesion: no pixel is lighter than {LESION}")
    height, width = read_image(photograph).shape[:2]
    ratio = mask.shape[1] / mask.shape[0] * height / width
    if abs(ratio - 1) > TOLERANCE:
        raise ValueError(
            f"The mask {file} has {mask.shape[1]} × {mask.shape[0]} px, the photograph "
            f"{photograph.name} {width} × {height}; a mask needs the photograph's frame"
        )
    return mask
