"""Complete and damaged image files of every format that is read, and their stated size."""

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import cv2

from lesions.imaging.jpeg import decode_image, find_excess, find_size
from lesions.imaging.jpeg import find_fault as find_fault_of_jpeg
from lesions.imaging.stderr import capture_stderr
from lesions.imaging.threads import map_in_threads

# How a file begins, by the end of its name.
STARTS = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".bmp": (b"BM",),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".webp": (b"RIFF",),
}
STARTS[".tiff"] = STARTS[".tif"]
# Beginnings of those warnings of libjpeg after which pixels may be wrong.
DAMAGE = re.compile(rb"Corrupt JPEG data|Premature end of JPEG|Inconsistent progression")


def refuse_broken(files: Mapping[str, Path]) -> None:
    """Decode every file; raise ValueError if one is not a complete image of its suffix's format.

    `files` maps the name of each file, for the message, to its path. libjpeg conceals damage within
    a file and reports it on stderr alone, without the file's name. Only if it did are the files
    decoded again, one at a time, to find which.
    """
    with capture_stderr(DAMAGE) as (warnings, stderr):
        faults = map_in_threads(find_fault, list(files.values()), desc="decode", file=stderr)
    if warnings:
        found = zip(faults, files.values(), strict=True)
        faults = [fault or find_damage(path) for fault, path in found]
    broken = [(name, fault) for name, fault in zip(files, faults, strict=True) if fault]
    if broken:
        name, fault = broken[0]
        others = any(files[name].suffix.lower() in STARTS for name, _ in broken)
        kind = "images" if others else "JPEGs"
        raise ValueError(
            f"{len(broken)} of {len(files)} images are not complete {kind}, first {name}: {fault}; "
            "fetch it again"
        )


def find_damage(path: Path) -> str:
    """Return what libjpeg finds damaged in an image's pixels, '' if nothing; it has no checksum."""
    with capture_stderr(DAMAGE) as (warnings, _):
        find_fault(path)
    return f"its pixels are damaged, libjpeg says: {warnings[0]}" if warnings else ""


def find_fault(path: Path) -> str:
    """Return what is wrong with an image file, '' if it decodes completely."""
    starts = STARTS.get(path.suffix.lower())
    if starts is None:
        return find_fault_of_jpeg(path)
    data = path.read_bytes()
    if not data.startswith(starts):
        return f"its {len(data)} bytes are not what its suffix says, they begin with {data[:8]!r}"
    if fault := find_excess(find_stated_size(data)):
        return fault
    # OpenCV 5.0 refuses truncated files of all these formats.
    pixels = decode_image(data, cv2.IMREAD_COLOR)
    return f"its {len(data)} bytes cannot be decoded" if pixels is None else ""


def find_stated_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width in px from the header of a JPEG, PNG, BMP or TIFF, else None.

    Nothing is decoded. A WebP has at most 16,383 pixels a side (RFC 9649).
    """
    if data.startswith(STARTS[".png"]) and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return height, width
    if data.startswith(b"BM") and len(data) >= 26 and data[14] >= 40:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(height), abs(width)  # a negative height: rows from the top
    if data.startswith((b"II*\0", b"MM\0*")):
        return _find_size_of_tiff(data)
    return find_size(data)


def _find_size_of_tiff(data):
    """Return height and width from the first directory (TIFF 6.0, section 2), None without."""
    order = "<" if data.startswith(b"II") else ">"
    sides = {}
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (n_entries,) = struct.unpack_from(f"{order}H", data, start)
        for entry in range(start + 2, start + 2 + 12 * n_entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, entry)
            if tag in (256, 257):  # width and length, as SHORT or LONG
                (sides[tag],) = struct.unpack_from(order + "HI"[kind == 4], data, entry + 8)
    except struct.error:
        return None
    return (sides[257], sides[256]) if len(sides) == 2 else None
