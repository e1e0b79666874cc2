"""Arrays in `.npy` files, read and written as memory maps."""

import os
from pathlib import Path

import numpy as np


def create_array(path: Path, *, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """Create a `.npy` file to be filled in place, with all its disk space allocated.

    Otherwise a full disk kills the process later (SIGBUS), as it still does on macOS and Windows.

    Raises
    ------
    OSError
        If the disk has too little space; it names the file, which is removed.
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
    """Return the images that stage `resize` stored: uint8 RGB `(n_images, pixels, pixels, 3)`.

    They are a read-only memory map; `pixels` is the setting `resize.pixels`.

    Raises
    ------
    ValueError
        If the images have another shape: they were made with another setting.
    """
    images = np.load(path, mmap_mode="r")
    if images.shape[1:] != (pixels, pixels, 3):
        found = " × ".join(map(str, images.shape[1:]))
        raise ValueError(
            f"{path} holds images of {found}, but resize.pixels is {pixels}; delete it and run "
            "'dvc repro'."
        )
    return images
