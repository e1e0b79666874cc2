"""Complete and damaged JPEG files, and their size, from the markers in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lesions import MAX_PIXELS

# ITU-T T.81, B.1.1.2: 0xFF and a byte that is neither stuffing, fill nor a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
START_OF_IMAGE = b"\xff\xd8"
START_OF_SCAN = b"\xff\xda"
END_OF_IMAGE = b"\xff\xd9"
# SOF0 to SOF15, without DHT, JPG and DAC.
START_OF_FRAME = {b"\xff%c" % code for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC)}


def find_fault(path: Path) -> str:
    """Return what is wrong with a JPEG file, '' if it decodes completely; data after it may follow.

    OpenCV 5.0 refuses to decode a truncated file, but does not promise to.
    """
    data = path.read_bytes()
    if not data:
        return "the file is empty (0 bytes)"
    if not data.startswith(START_OF_IMAGE):
        return f"its {len(data)} bytes are not a JPEG, they begin with {data[:8]!r}"
    if fault := find_excess(find_size(data)):
        return fault
    if is_cut_off(data):
        return f"cut off after {len(data)} bytes, before the end of the image"
    # At 1/8 all data are decoded as well, in half the time.
    pixels = decode_image(data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    return f"its {len(data)} bytes cannot be decoded" if pixels is None else ""


def is_cut_off(data: bytes) -> bool:
    """Return whether a JPEG's end is missing."""
    return not any(marker[0] == END_OF_IMAGE for marker in _markers(data))


def decode_image(data: bytes, flags: int) -> np.ndarray | None:
    """Return the pixels of an encoded image, None if OpenCV cannot decode it.

    Not by cv2.imread, which fills what a truncated file lacks with grey.
    """
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise  # the file may be complete
        return None


def find_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width in px from a JPEG's header, None without such a header.

    They are the stored ones, before an EXIF orientation turns them. Nothing is decoded.
    """
    if not data.startswith(START_OF_IMAGE):
        return None
    for marker in _markers(data):
        if marker[0] == START_OF_SCAN:
            return None
        if marker[0] in START_OF_FRAME:  # B.2.2: two bytes of length, one of precision
            start = marker.end() + 3
            height, width = data[start : start + 2], data[start + 2 : start + 4]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big")
    return None


def find_excess(size: tuple[int, int] | None) -> str:
    """Return an error message if an image of this height and width is too large, else ''."""
    if size is None or size[0] * size[1] <= MAX_PIXELS:
        return ""
    return f"its header states {size[1]:,} × {size[0]:,} pixels, above the limit of {MAX_PIXELS:,}"


def _markers(data) -> Iterator[re.Match]:
    """Yield the markers; segments are skipped, since a thumbnail has markers of its own."""
    start = 2
    while marker := MARKER.search(data, start):
        yield marker
        length = data[marker.end() : marker.end() + 2]
        start = marker.end() + int.from_bytes(length, "big")
