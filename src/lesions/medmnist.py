"""DermaMNIST's arrays (MedMNIST v2) as photographs in HAM10000's own layout.

Source: Yang et al., "MedMNIST v2", Sci Data 10:41, 2023; sizes 64 to 224 px are those of MedMNIST+.
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

from lesions.taxonomy import CODES, COLUMNS, METADATA, N_CLASSES, PARTS

PARTITIONS = ("train", "val", "test")
SIZES = (28, 64, 128, 224)  # px
# As close to the arrays' own pixels as a JPEG comes.
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 100]
JPEG += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
# What zipfile, zlib and numpy raise of damage: RuntimeError of flags that ask for a password or for
# what zipfile cannot do (NotImplementedError), the last three of an array's header.
DAMAGE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,
    OverflowError,
    tokenize.TokenError,
)


def find_arrays(path: Path) -> Path:
    """Give the one ``dermamnist*.npz`` that `path` is or that lies in that folder.

    Raises
    ------
    ValueError
        Where there is none, or more than one, or `path` is another file.
    """
    if path.is_file() and path.suffix.lower() != ".npz":
        raise ValueError(
            f"data.path must be a dermamnist*.npz, or a folder with one; {path} is a file of "
            "another kind; name the .npz in data.path, or download it from medmnist.com."
        )
    if path.is_file():
        return path
    found = sorted(path.glob("dermamnist*.npz"))
    if len(found) != 1:
        raise ValueError(
            f"data.path must be a dermamnist*.npz, or a folder with one; {path} has "
            f"{', '.join(file.name for file in found) or 'none'}; "
            f"{'name one of them in data.path' if found else 'download it from medmnist.com'}."
        )
    return found[0]


def write_photographs(file: Path, folder: Path) -> pd.DataFrame:
    """Write the arrays of `file` as JPEG files, with metadata, in HAM10000's own layout.

    Parameters
    ----------
    file : Path
        An ``.npz`` with ``<part>_images``, uint8 `(n, size, size, 3)`, RGB, and ``<part>_labels``,
        0–6 in alphabetical order of the codes, `(n, 1)`, for the parts `PARTITIONS`.
    folder : Path
        An empty folder: receives ``HAM10000_metadata.csv``, the training images in part 1 and the
        others in part 2, as JPEG of quality 100 whose colours are not sampled down.

    Returns
    -------
    DataFrame
        What is written as metadata: HAM10000's columns and `partition`. The arrays name neither
        lesion nor patient, so that every image counts as a lesion of its own; all else is empty.

    Raises
    ------
    ValueError
        Where the file is no such archive of arrays, is broken, or holds Python's objects.
    """
    for part in PARTS:
        (folder / part).mkdir()
    rows = []
    for partition, images, labels in _read(file):
        bar = tqdm(images, desc=partition, unit="image", disable=None)
        for n, (image, label) in enumerate(zip(bar, labels, strict=True)):
            image_id = f"DERMAMNIST_{partition}_{n:05d}"
            jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), JPEG)[1]
            part = PARTS[partition != "train"]
            (folder / part / f"{image_id}.jpg").write_bytes(jpeg.tobytes())
            rows.append((image_id, image_id, CODES[label], "", "", "", "", partition))
    metadata = pd.DataFrame(rows, columns=[*COLUMNS, "partition"], dtype=str)
    metadata.to_csv(folder / METADATA, index=False, lineterminator="\n")
    return metadata


def _read(file) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Give partition, images and labels in turn, checked; only one partition is in memory."""
    try:
        # Pickle would run what it holds. Opened here: of a broken file np.load closes nothing.
        with file.open("rb") as stream, _open(stream) as arrays:
            keys = [f"{part}_{kind}" for part in PARTITIONS for kind in ("images", "labels")]
            missing = [key for key in keys if key not in arrays]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)} and has {', '.join(arrays)}")
            for partition in PARTITIONS:
                images, labels = arrays[f"{partition}_images"], arrays[f"{partition}_labels"]
                _check(partition, images, labels)
                yield partition, images, labels.reshape(-1)
    except DAMAGE as error:
        header = isinstance(error, (SyntaxError, tokenize.TokenError))
        words = "an array's header cannot be read" if header else str(error) or "it breaks off"
        raise ValueError(
            f"data.path must be DermaMNIST's arrays as MedMNIST gives them; {file} is not: {words};"
            " download it again from medmnist.com."
        ) from error


def _open(stream):
    """Give the arrays of an archive; refuse one that is damaged, before a header is believed."""
    start = stream.read(4)
    if start not in (b"PK\3\4", b"PK\5\6"):  # of which numpy would say that it holds pickled data
        raise ValueError("it is no .npz, which is a zip archive" if start else "it is empty")
    stream.seek(0)
    arrays = np.load(stream, allow_pickle=False)
    methods = {member.compress_type for member in arrays.zip.infolist()}
    if not methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("it is compressed as no .npz is")
    damaged = arrays.zip.testzip()  # or memory is asked for what a damaged header states
    if damaged:
        raise ValueError(f"{damaged} in it is damaged")
    return arrays


def _check(partition, images, labels):
    """Refuse arrays of another shape, type or range."""
    if isinstance(images, bytes) or isinstance(labels, bytes):
        raise ValueError(f"{partition}_images and {partition}_labels must be numpy's arrays")
    shape = images.shape
    if images.dtype != np.uint8 or shape[1:] not in {(size, size, 3) for size in SIZES}:
        raise ValueError(
            f"{partition}_images must be uint8 (n, size, size, 3) of {', '.join(map(str, SIZES))} "
            f"px; it is {images.dtype} {shape}"
        )
    if labels.shape not in {(len(images),), (len(images), 1)}:
        raise ValueError(
            f"{partition}_labels must be one for each of {len(images)} images; it is {labels.shape}"
        )
    if labels.dtype.kind not in "ui" or not np.isin(labels, range(N_CLASSES)).all():
        raise ValueError(
            f"{partition}_labels must be whole numbers from 0 to {N_CLASSES - 1}; it is "
            f"{labels.dtype} with {', '.join(map(str, np.unique(labels)[:9]))}"
        )
