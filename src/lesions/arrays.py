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
