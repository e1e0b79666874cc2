import io

import numpy as np
import pytest
from photographs import draw_photograph
from PIL import Image

from lesions.imaging.images import resize_images
from lesions.imaging.uploads import read_upload

PHOTOGRAPH = draw_photograph("nv", lesion_seed=1, photo_seed=1)
SETTINGS = {"pixels": 48, "interpolation": "area", "crop": "square", "decode": "reduced"}


def encode(kind, image=None, **options):
    stream = io.BytesIO()
    (Image.fromarray(PHOTOGRAPH) if image is None else image).save(stream, kind, **options)
    return stream.getvalue()


def read(encoded, **changes):
    return read_upload(encoded, name="photo", **SETTINGS | changes)


@pytest.mark.parametrize("decode", ["full", "reduced"])
@pytest.mark.parametrize("crop", ["none", "square"])
@pytest.mark.parametrize("interpolation", ["area", "linear", "nearest"])
def test_pixels_are_those_of_stage_resize(tmp_path, decode, crop, interpolation):
    settings = SETTINGS | {"decode": decode, "crop": crop, "interpolation": interpolation}
    file = tmp_path / "photo.jpg"
    file.write_bytes(encode("JPEG", quality=95))
    expected = np.empty((1, 48, 48, 3), np.uint8)
    resize_images([file], expected, **settings)
    np.testing.assert_array_equal(read_upload(file.read_bytes(), name="x", **settings), expected[0])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_give_the_same_pixels(kind):
    np.testing.assert_array_equal(read(encode(kind)), read(encode("PNG")))


def test_webp_is_read():
    lossless = encode("WEBP", lossless=True)
    np.testing.assert_array_equal(read(lossless), read(encode("PNG")))


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    lying = Image.fromarray(np.rot90(PHOTOGRAPH).copy())
    turned = read(encode("JPEG", lying, quality=100, subsampling=0, exif=exif))
    upright = read(encode("JPEG", quality=100, subsampling=0))
    assert np.abs(turned.astype(int) - upright).mean() < 2


def test_alpha_grey_16_bits_and_cmyk_are_read():
    opaque = Image.fromarray(PHOTOGRAPH)
    transparent = opaque.copy()
    transparent.putalpha(128)
    np.testing.assert_array_equal(read(encode("PNG", transparent)), read(encode("PNG")))
    grey = read(encode("PNG", opaque.convert("L")))
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    deep = Image.fromarray(np.asarray(opaque.convert("L")).astype(np.uint16) * 257)
    np.testing.assert_array_equal(read(encode("PNG", deep)), grey)
    cmyk = read(encode("JPEG", opaque.convert("CMYK"), quality=95))
    assert np.abs(cmyk.astype(int) - read(encode("PNG"))).mean() < 3


@pytest.mark.parametrize(
    ("encoded", "fault"),
    [
        (b"", r"photo is empty \(0 bytes\)"),
        (b"%PDF-1.7", r"photo is not a JPEG, PNG, TIFF, WebP or BMP file: its 8 bytes begin"),
        (b"<html>", "is not a JPEG"),
        (b"GIF89a" + bytes(30), "is not a JPEG"),
        (encode("JPEG")[:3000], "photo is cut off after 3000 bytes"),
        (encode("PNG")[:3000], "photo is not a complete image"),
        (encode("WEBP")[:3000], "photo is not a complete image"),
        (encode("TIFF")[:3000], "photo is not a complete image"),
        (b"\xff\xd8" + bytes(20) + b"\xff\xd9", "photo is not a complete image"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "needs 'pip install pillow-heif'|not a complete HEIC"),
    ],
)
def test_what_is_no_photograph_is_refused_by_name(encoded, fault):
    with pytest.raises(ValueError, match=fault):
        read(encoded)


def test_a_heic_file_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ValueError, match=r"photo is a HEIC file, which needs 'pip install pillow"):
        read(b"\0\0\0\x18ftypheic" + bytes(99))


def test_a_heic_file_is_read_where_that_is_installed():
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(Image.fromarray(PHOTOGRAPH))
    stream = io.BytesIO()
    file.save(stream, quality=95)
    assert np.abs(read(stream.getvalue()).astype(int) - read(encode("PNG"))).mean() < 3
