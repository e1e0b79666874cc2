"""DermaMNIST's arrays (MedMNIST v2), written as photographs in HAM10000's layout.

Source: Yang et al., "MedMNIST v2", Sci Data 10:41, 2023; 64 to 224 px are MedMNIST+'s.
"""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from lesions.datasets.ham10000 import CODES, COLUMNS, IMAGE_FOLDERS, METADATA

PARTITIONS = ("train", "val", "test")
SIDES = (28, 64, 128, 224)  # px
# As close to the arrays' pixels as JPEG gets.
JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 100]
JPEG_OPTIONS += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
# Raised by zipfile, zlib and NumPy for damaged files: RuntimeError for flags of encryption or of
# unknown features, the last three for an array's header.
DAMAGE = (ValueError, TypeError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
DAMAGE += (SyntaxError, OverflowError, tokenize.TokenError)


def find_arrays(path: Path, *, setting: str) -> Path:
    """Return `path` if it is an `.npz` file, else the only `dermamnist*.npz` in that folder.

    Raises
    ------
    ValueError
        If there is none or more than one, or `path` is another file; it names `setting`.
    """
    if path.is_file() and path.suffix.lower() == ".npz":
        return path
    found = sorted(path.glob("dermamnist*.npz"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ValueError(
            f"{path} is not a dermamnist*.npz or a folder with exactly one (found {names}); set "
            f"{setting} to one, downloaded from medmnist.com"
        )
    return found[0]


def write_photographs(file: Path, folder: Path) -> None:
    """Write DermaMNIST's arrays as JPEG files with metadata, in HAM10000's layout.

    The metadata have a further column, `partition`. The arrays name no lesion, so that each image
    is a lesion of its own; all else is empty.

    Parameters
    ----------
    file : Path
        An `.npz` with `<partition>_images`, uint8 `(n, side, side, 3)`, RGB, and
        `<partition>_labels`, `(n, 1)`, from 0 to 6 in alphabetical order of the codes, for each of
        `PARTITIONS`.
    folder : Path
        An empty folder. Training images go to the first image folder, all others to the second, as
        JPEG of quality 100 without chroma subsampling.

    Raises
    ------
    ValueError
        If the file is damaged, has other arrays, or holds pickled objects.
    """
    for name in IMAGE_FOLDERS:
        (folder / name).mkdir()
    rows = []
    for partition, images, labels in _read(file):
        image_folder = folder / IMAGE_FOLDERS[partition != "train"]
        bar = tqdm(images, desc=partition, unit="image", disable=None)
        for index, (image, label) in enumerate(zip(bar, labels, strict=True)):
            image_id = f"DERMAMNIST_{partition}_{index:05d}"
            jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), JPEG_OPTIONS)[1]
            (image_folder / f"{image_id}.jpg").write_bytes(jpeg.tobytes())
            rows.append((image_id, image_id, CODES[label], "", "", "", "", partition))
    metadata = pd.DataFrame(rows, columns=[*COLUMNS, "partition"], dtype=str)
    metadata.to_csv(folder / METADATA, index=False, lineterminator="\n")


def _read(file) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield partition, images and labels, checked; one partition at a time is in memory."""
    try:
        # Opened here, since np.load leaves a damaged file open.
        with file.open("rb") as stream, _open(stream) as arrays:
            keys = [
                f"{partition}_{kind}" for partition in PARTITIONS for kind in ("images", "labels")
            ]
            missing = [key for key in keys if key not in arrays]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)} and has {', '.join(arrays)}")
            for partition in PARTITIONS:
                images, labels = arrays[f"{partition}_images"], arrays[f"{partition}_labels"]
                _check(partition, images, labels)
                yield partition, images, labels.reshape(-1)
    except DAMAGE as error:
        header = isinstance(error, (SyntaxError, tokenize.TokenError))
        reason = "an array's header cannot be read" if header else str(error) or "it is cut off"
        raise ValueError(
            f"{file} does not hold DermaMNIST's arrays: {reason}; download it again from "
            "medmnist.com"
        ) from error


def _open(stream):
    """Open an archive of arrays; refuse a damaged one before any header of an array is read."""
    start = stream.read(4)
    if start not in (b"PK\3\4", b"PK\5\6"):  # NumPy would call anything else pickled data
        raise ValueError("it is not a zip archive, as .npz files are" if start else "it is empty")
    stream.seek(0)
    arrays = np.load(stream, allow_pickle=False)  # a pickle would run code
    methods = {member.compress_type for member in arrays.zip.infolist()}
    if not methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("it has a compression that .npz files do not use")
    damaged = arrays.zip.testzip()  # a damaged header could allocate any memory
    if damaged:
        raise ValueError(f"{damaged} in it is damaged")
    return arrays


def _check(partition, images, labels):
    if isinstance(images, bytes) or isinstance(labels, bytes):
        raise ValueError(f"{partition}_images or {partition}_labels is not an array")
    if images.dtype != np.uint8 or images.shape[1:] not in {(side, side, 3) for side in SIDES}:
        raise ValueError(
            f"{partition}_images is {images.dtype} {images.shape}, not uint8 (n, side, side, 3) "
            f"with a side of {', '.join(map(str, SIDES))} px"
        )
    if labels.shape not in {(len(images),), (len(images), 1)}:
        raise ValueError(f"{partition}_labels is {labels.shape} for {len(images)} images")
    if labels.dtype.kind not in "ui" or not np.isin(labels, range(len(CODES))).all():
        raise ValueError(
            f"{partition}_labels is {labels.dtype} with the values "
            f"{', '.join(map(str, np.unique(labels)[:9]))}, not integers from 0 to {len(CODES) - 1}"
        )
