"""Arrays in files that are filled part by part."""

import os
from pathlib import Path

import numpy as np


def create_array(path: Path, *, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """Make a `.npy` file of this shape, to be filled in place; its room on the disk is taken now.

    A file that has its size but not its room is filled until the disk is full, and then the system
    kills the process (SIGBUS) without a word. Where the system cannot take room beforehand (macOS,
    Windows), it stays so.

    Raises
    ------
    OSError
        If the disk has too little room; it names the file, which is removed.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def open_images(path: Path, *, pixels: int) -> np.memmap:
    """Return the images that stage `resize` stored, as a read-only memory map.

    Parameters
    ----------
    path
        The `.npy` file.
    pixels
        The setting `resize.pixels`.

    Returns
    -------
    memmap
        uint8 `(n_images, pixels, pixels, 3)`, RGB.

    Raises
    ------
    ValueError
        If the file holds images of another shape: then it was made with other settings.
    """
    images = np.load(path, mmap_mode="r")
    if images.shape[1:] != (pixels, pixels, 3):
        found = " × ".join(map(str, images.shape[1:]))
        raise ValueError(
            f"{path} holds images of {found}, but resize.pixels is {pixels} in params.yaml, which "
            f"makes {pixels} × {pixels} × 3; delete {path} and run 'dvc repro'."
        )
    return images
