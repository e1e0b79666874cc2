"""Photographs as a user has them: any format, of any name, perhaps damaged."""

import importlib
import io

import numpy as np

from lesions.imaging.formats import STARTS
from lesions.imaging.images import decode_photograph, resize_image
from lesions.imaging.jpeg import START_OF_IMAGE, find_excess, is_cut_off

FORMATS = "JPEG, PNG, TIFF, WebP or BMP"
SUFFIXES = (".jpg", ".jpeg", *STARTS, ".heic", ".heif")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
WAY_OUT = f"convert it to {FORMATS}"


def read_upload(
    encoded: bytes, *, name: str, pixels: int, interpolation: str, crop: str, decode: str
) -> np.ndarray:
    """Return a photograph as the network sees it, uint8 RGB `(pixels, pixels, 3)`.

    Decoding and resizing are those of stage `resize`; the content, not the name, says which format
    it is. Of a file with several pages the first is read; transparency is ignored.

    Parameters
    ----------
    encoded
        The file's bytes.
    name
        Of the file, for messages.
    pixels, interpolation, crop, decode
        As of `lesions.imaging.images.resize_images`.

    Raises
    ------
    ValueError
        If it is no photograph, incomplete, too large, or of a format that cannot be read here. It
        does not notice damage that libjpeg conceals; see `lesions.imaging.formats.DAMAGE`.
    """
    if not encoded:
        raise ValueError(f"{name} is empty (0 bytes)")
    if encoded[4:8] == b"ftyp" and encoded[8:12] in HEIC_BRANDS:
        image = _decode_heic(encoded, name)
    else:
        if not is_photograph(encoded):
            raise ValueError(
                f"{name} is not a {FORMATS} file: its {len(encoded)} bytes begin with "
                f"{encoded[:8]!r}; {WAY_OUT}"
            )
        if encoded.startswith(START_OF_IMAGE) and is_cut_off(encoded):
            raise ValueError(
                f"{name} is cut off after {len(encoded)} bytes, before the end of the image; fetch "
                "it again"
            )
        if fault := find_excess(_find_size_of_webp(encoded)):
            raise ValueError(f"{name} is too large to decode: {fault}; make it smaller")
        at_least = pixels if decode == "reduced" else None
        image = decode_photograph(encoded, name=name, at_least=at_least)
    return resize_image(image, pixels=pixels, interpolation=interpolation, crop=crop)


def is_photograph(encoded: bytes) -> bool:
    """Return whether a file begins as one of `FORMATS` does."""
    return encoded.startswith((START_OF_IMAGE, *(s for starts in STARTS.values() for s in starts)))


def _find_size_of_webp(encoded):
    """Return height and width from the header of a WebP (RFC 9649, RFC 6386), None without."""
    kind, content = encoded[12:16], encoded[20:30]
    if encoded[8:12] != b"WEBP" or len(content) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(content[7:10], "little") + 1, int.from_bytes(
            content[4:7], "little"
        ) + 1
    if kind == b"VP8L":
        sides = int.from_bytes(content[1:5], "little")
        return (sides >> 14 & 0x3FFF) + 1, (sides & 0x3FFF) + 1
    if kind == b"VP8 ":
        height, width = content[8:10], content[6:8]
        return tuple(int.from_bytes(side, "little") & 0x3FFF for side in (height, width))
    return None


def _decode_heic(encoded, name):
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError:
        raise ValueError(
            f"{name} is a HEIC file, which needs 'pip install pillow-heif'; install it, or "
            f"{WAY_OUT}"
        ) from None
    try:
        file = pillow_heif.open_heif(io.BytesIO(encoded), convert_hdr_to_8bit=True)  # the header
        fault = find_excess(file.size[::-1])
        pixels = None if fault else np.asarray(file.to_pillow().convert("RGB"))
    except (OSError, EOFError, LookupError, RuntimeError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name} is not a complete HEIC file: {error}; fetch it again") from None
    if fault:
        raise ValueError(f"{name} is too large to decode: {fault}; make it smaller")
    return np.ascontiguousarray(pixels)
