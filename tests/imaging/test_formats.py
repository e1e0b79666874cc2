"""Formats other than JPEG: complete files are read, all others refused."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from lesions.imaging.formats import find_fault, find_stated_size, refuse_broken
from lesions.imaging.images import read_image

NOISE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
PIXELS = cv2.resize(NOISE, (64, 48), interpolation=cv2.INTER_CUBIC)
PHOTOGRAPH = Image.fromarray(PIXELS)
KINDS = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}


def encode(kind, photograph=PHOTOGRAPH, **options):
    stream = io.BytesIO()
    photograph.save(stream, kind, **options)
    return stream.getvalue()


def in_16_bits(suffix):
    return cv2.imencode(suffix, PIXELS[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def write(folder, content, suffix):
    path = folder / f"a{suffix}"
    path.write_bytes(content)
    return path


TRANSPARENT = PHOTOGRAPH.convert("RGBA")
TRANSPARENT.putalpha(200)
GREY = PHOTOGRAPH.convert("L")
READ = {
    "PNG": (".png", encode("PNG"), PIXELS),
    "PNG of 16 bits": (".png", in_16_bits(".png"), PIXELS),
    "PNG with alpha": (".PNG", encode("PNG", TRANSPARENT), PIXELS),
    "PNG in grey": (".png", encode("PNG", GREY), np.asarray(GREY.convert("RGB"))),
    "BMP": (".bmp", encode("BMP"), PIXELS),
    "TIFF": (".tif", encode("TIFF"), PIXELS),
    "TIFF by LZW": (".tiff", encode("TIFF", compression="tiff_lzw"), PIXELS),
    "TIFF of 16 bits": (".tiff", in_16_bits(".tiff"), PIXELS),
    "TIFF in CMYK": (".tiff", encode("TIFF", PHOTOGRAPH.convert("CMYK")), PIXELS),
    "WebP": (".webp", encode("WEBP", lossless=True), PIXELS),
}


@pytest.mark.parametrize(("suffix", "content", "pixels"), READ.values(), ids=READ)
def test_a_complete_file_is_read_as_one_sees_it(tmp_path, suffix, content, pixels):
    path = write(tmp_path, content, suffix)
    assert find_fault(path) == ""
    image = read_image(path, at_least=8)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_truncated_file_is_refused(tmp_path, capfd, suffix, share):
    content = encode(KINDS[suffix])
    path = write(tmp_path, content[: int(len(content) * share)], suffix)
    with pytest.raises(ValueError, match=r"^1 of 1 images are not complete images, first x: its "):
        refuse_broken({"x": path})
    capfd.readouterr()  # the decoders' own complaints


@pytest.mark.parametrize("suffix", KINDS)
def test_another_format_than_the_suffix_says_is_refused(tmp_path, suffix):
    assert "are not what its suffix says" in find_fault(write(tmp_path, encode("JPEG"), suffix))
    assert "are not a JPEG" in find_fault(write(tmp_path, encode(KINDS[suffix]), ".jfif"))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_the_size_is_read_from_the_header(suffix):
    content = encode(KINDS[suffix])
    assert find_stated_size(content) == (48, 64)
    for length in range(30):
        assert find_stated_size(content[:length]) in ((48, 64), None)


def test_headers_of_too_many_pixels_are_refused_undecoded(tmp_path):
    png = encode("PNG")
    bmp, tiff = bytearray(encode("BMP")), bytearray(encode("TIFF"))
    bmp[18:26] = struct.pack("<ii", 30_000, -30_000)
    for tag in (256, 257):  # ImageWidth and ImageLength, as SHORT
        at = tiff.index(struct.pack("<HH", tag, 3)) if struct.pack("<HH", tag, 3) in tiff else None
        at = tiff.index(struct.pack("<HH", tag, 4)) if at is None else at
        tiff[at + 8 : at + 10] = struct.pack("<H", 30_000)
    bombs = {
        ".png": png[:16] + struct.pack(">II", 30_000, 30_000) + png[24:],
        ".bmp": bytes(bmp),
        ".tif": bytes(tiff),
    }
    for suffix, content in bombs.items():
        path = write(tmp_path, content, suffix)
        assert "its header states 30,000 × 30,000 pixels, above the limit" in find_fault(path)
        with pytest.raises(ValueError, match="is too large to decode"):
            read_image(path)
