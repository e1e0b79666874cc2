"""The images of a set as rows: from the array that stage `resize` stored, or from photographs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesions.imaging.arrays import open_images
from lesions.imaging.images import resize_images


class Photographs:
    """Photographs as an array of images, which are decoded, cropped and resized when read.

    `shape` is `(n_photographs, pixels, pixels, 3)`; `settings` are those of
    `lesions.imaging.images.resize_images`.
    """

    def __init__(self, paths: Sequence[Path], *, pixels: int, **settings: str):
        self.shape = (len(paths), pixels, pixels, 3)
        self._paths = np.array(paths, dtype=object)
        self._settings = settings

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return some of the images, uint8 RGB `(n_rows, pixels, pixels, 3)`."""
        paths = self._paths[rows]
        images = np.empty((len(paths), *self.shape[1:]), np.uint8)
        resize_images(paths, images, pixels=self.shape[1], **self._settings, desc=None)
        return images


def open_photographs(
    path: Path, image_paths: Sequence[str], *, pixels: int, **settings: str
) -> np.memmap | Photographs:
    """Return images whose rows are read when they are needed.

    Parameters
    ----------
    path
        The array that stage `resize` stored, or the folder of photographs.
    image_paths
        Of each image, in that folder.
    pixels, settings
        As of `Photographs`; an array must have been stored with the same `pixels`.
    """
    if path.is_dir():
        return Photographs([path / file for file in image_paths], pixels=pixels, **settings)
    return open_images(path, pixels=pixels)
