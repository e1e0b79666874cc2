"""What the markers of a JPEG say: whether it is complete, and its size."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lesions.cores import n_workers
from lesions.held import hold_stderr

# ITU-T T.81, B.1.1.2: 0xFF and a byte that is neither stuffing, fill nor a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
START = b"\xff\xd8"
START_OF_SCAN = b"\xff\xda"
END_OF_IMAGE = b"\xff\xd9"
# How libjpeg's warnings begin after which pixels are not those of the photograph.
DAMAGE = re.compile(rb"Corrupt JPEG data|Premature end of JPEG|Inconsistent progression")
# px; that is 300 MB of RGB. A header of few bytes can ask for 60 times as much.
MAX_PIXELS = 100_000_000
# SOF0 to SOF15; DHT, JPG and DAC lie among them and begin no frame.
FRAMES = {b"\xff%c" % code for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC)}


def refuse_broken(files: Mapping[str, Path]) -> None:
    """Decode every file, in `n_workers` threads, and refuse those that are not complete JPEGs.

    libjpeg conceals damage within a file; it says so on stderr alone, without the file's name. Only
    where it did are the files decoded once more, one at a time, to find which.

    Parameters
    ----------
    files : Mapping of str to Path
        What the message calls a file, to the file.

    Raises
    ------
    ValueError
        Where a file is no complete JPEG; the message counts them and names the first.
    """
    with ThreadPoolExecutor(n_workers()) as pool, hold_stderr(DAMAGE) as (said, stderr):
        faults = pool.map(find_fault, files.values())
        bar = tqdm(faults, total=len(files), desc="decode", unit="image", disable=None, file=stderr)
        faults = list(bar)
        damaged = bool(said())
    if damaged:
        faults = [
            fault or find_damage(path) for fault, path in zip(faults, files.values(), strict=True)
        ]
    broken = [(place, fault) for place, fault in zip(files, faults, strict=True) if fault]
    if broken:
        place, fault = broken[0]
        raise ValueError(
            f"every image must be a complete JPEG; {len(broken)} of {len(files)} are not, "
            f"first {place}: {fault}; fetch it again."
        )


def find_damage(path: Path) -> str:
    """Say what libjpeg finds damaged between the markers of a JPEG; nothing where all is well.

    Damage that decodes to something is not seen; a JPEG has no checksum.
    """
    with hold_stderr(DAMAGE) as (said, _):
        find_fault(path)
        found = said()
    return f"its pixels are damaged, libjpeg says: {found[0]}" if found else ""


def find_fault(path: Path) -> str:
    """Say what is wrong with a JPEG file; nothing where it decodes completely.

    cv2.imread fills the rest of a truncated file with grey and only prints a warning. imdecode of
    OpenCV 5.0 refuses it, but promises nothing, so the end of the image is looked for as well; what
    follows that end is harmless. Damage that leaves the markers is not seen, see `find_damage`.
    """
    data = path.read_bytes()
    if not data:
        return "the file is empty (0 bytes)"
    if not data.startswith(START):
        return f"its {len(data)} bytes are no JPEG, they begin with {data[:8]!r}"
    if fault := find_excess(find_size(data)):
        return fault
    if not _has_end(data):
        return f"cut off after {len(data)} bytes, before the end of the image"
    try:  # an eighth of the size: all data are decoded, in half the time
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise  # the file may be whole
        pixels = None
    return f"its {len(data)} bytes cannot be decoded" if pixels is None else ""


def find_size(data: bytes) -> tuple[int, int] | None:
    """Give height and width in px as a JPEG's header states them; nothing if it has no such header.

    They are those of the stored pixels: an EXIF orientation, which may exchange them, is left out
    of account. Nothing is decoded, and the pixels behind the header may be missing.
    """
    if not data.startswith(START):
        return None
    for marker in _markers(data):
        if marker[0] == START_OF_SCAN:
            return None
        if marker[0] in FRAMES:  # B.2.2: two bytes of length, one of precision, height, width
            place = marker.end() + 3
            height, width = data[place : place + 2], data[place + 2 : place + 4]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big")
    return None


def find_excess(size: tuple[int, int] | None) -> str:
    """Say that a photograph of this height and width is too large to decode; nothing if it is not.

    libjpeg fills what the file does not have, so a few bytes can take gigabytes of memory.
    """
    if size is None or size[0] * size[1] <= MAX_PIXELS:
        return ""
    return (
        f"its header says {size[1]:,} × {size[0]:,} pixels, and {MAX_PIXELS:,} in all are the most "
        f"that is decoded"
    )


def _has_end(data):
    return any(marker[0] == END_OF_IMAGE for marker in _markers(data))


def _markers(data) -> Iterator[re.Match]:
    """Give the markers; segments are stepped over, a thumbnail in one has markers of its own."""
    place = 2
    while marker := MARKER.search(data, place):
        yield marker
        length = data[marker.end() : marker.end() + 2]
        place = marker.end() + int.from_bytes(length, "big")
