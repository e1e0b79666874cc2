"""Whether files are complete JPEGs."""

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

# ITU-T T.81, B.1.1.2: 0xFF and a byte that is neither stuffing, fill nor a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
END_OF_IMAGE = b"\xff\xd9"


def refuse_broken(files: Mapping[str, Path]) -> None:
    """Decode every file, on all cores, and refuse those that are not complete JPEGs.

    Parameters
    ----------
    files : Mapping of str to Path
        What the message calls a file, to the file.

    Raises
    ------
    ValueError
        Where a file is no complete JPEG; the message counts them and names the first.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = pool.map(find_fault, files.values())
        bar = tqdm(faults, total=len(files), desc="decode", unit="image", disable=None)
        broken = [(place, fault) for place, fault in zip(files, bar, strict=True) if fault]
    if broken:
        place, fault = broken[0]
        raise ValueError(
            f"every image must be a complete JPEG; {len(broken)} of {len(files)} are not, "
            f"first {place}: {fault}; fetch it again."
        )


def find_fault(path: Path) -> str:
    """Say what is wrong with a JPEG file; nothing where it decodes completely.

    cv2.imread fills the rest of a truncated file with grey and only prints a warning. imdecode of
    OpenCV 5.0 refuses it, but promises nothing, so the end of the image is looked for as well; what
    follows that end is harmless. Damage that leaves the markers is not seen: libjpeg conceals it.
    """
    data = path.read_bytes()
    if not data:
        return "the file is empty (0 bytes)"
    if not data.startswith(b"\xff\xd8"):
        return f"its {len(data)} bytes are no JPEG, they begin with {data[:8]!r}"
    if not _has_end(data):
        return f"cut off after {len(data)} bytes, before the end of the image"
    try:  # an eighth of the size: all data are decoded, in half the time
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    except cv2.error:
        pixels = None
    return f"its {len(data)} bytes cannot be decoded" if pixels is None else ""


def _has_end(data):
    """Whether the image ends; segments are stepped over, a thumbnail in one has its own end."""
    place = 2
    while marker := MARKER.search(data, place):
        if marker[0] == END_OF_IMAGE:
            return True
        length = data[marker.end() : marker.end() + 2]
        place = marker.end() + int.from_bytes(length, "big")
    return False
