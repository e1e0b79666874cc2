"""Photographs that are none, or not what they seem: refused by name, or read as they should be."""

import base64
import io
import os
import struct
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from cloned import ROOT
from made_up_model import CODES as COLOURS
from made_up_model import write_model
from PIL import Image
from starlette.testclient import TestClient

from lesions.app.photographs import Source, find_sources, read_photographs
from lesions.app.web.api import make_app
from lesions.app.web.models import Served
from lesions.datasets.ham10000 import CODES, COLUMNS, IMAGE_FOLDERS, METADATA
from lesions.datasets.ingest import ingest_folder
from lesions.imaging.images import read_image, resize_images
from lesions.imaging.jpeg import MAX_PIXELS
from lesions.inference.exported import ExportedModel

NOISE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
PIXELS = cv2.resize(NOISE, (64, 48), interpolation=cv2.INTER_CUBIC)  # smooth, so that JPEG keeps it
PHOTOGRAPH = Image.fromarray(PIXELS)


def encode(kind="JPEG", photograph=PHOTOGRAPH, **options):
    stream = io.BytesIO()
    photograph.save(stream, kind, **options)
    return stream.getvalue()


WHOLE = encode(quality=95)
PROGRESSIVE = encode(quality=95, progressive=True)
FRAME = WHOLE.index(b"\xff\xc0")


def header(place, new):
    """Give the photograph with other bytes in its frame header (ITU-T T.81, B.2.2).

    0: the kind of frame, 4: bits a sample, 5: height, 7: width, 9: components.
    """
    return WHOLE[: FRAME + place] + new + WHOLE[FRAME + place + len(new) :]


def png(height, width):
    """Give a PNG that says how large it is and has next to no pixels."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


NO_JPEG = r"its \d+ bytes are not a JPEG, they begin with b'"
CUT = r"cut off after \d+ bytes, before the end of the image"
NOT_DECODED = r"its \d+ bytes cannot be decoded"
DAMAGED = r"its pixels are damaged, libjpeg says: "
TOO_LARGE = r"its header states [\d,]+ × [\d,]+ pixels, above the limit of 100,000,000"
SIDES = (np.array([30_000, 30_000]), np.array([65_535, 65_535]), np.array([10_001, 10_000]))

REFUSED = (
    {
        "no bytes": (b"", r"the file is empty \(0 bytes\)"),
        "a zero": (b"\0", NO_JPEG),
        "zeros": (bytes(5000), NO_JPEG),
        "a start": (b"\xff\xd8", CUT),
        "a start twice": (b"\xff\xd8\xff\xd8", CUT),
        "a start and an end": (b"\xff\xd8\xff\xd9", NOT_DECODED),
        "an end, then a start": (b"\xff\xd9\xff\xd8", NO_JPEG),
        "a start and 0xff": (b"\xff\xd8" + b"\xff" * 5000, CUT),
        "text": (b"a photograph", NO_JPEG),
        "a page": (b"<!DOCTYPE html><title>404</title>", NO_JPEG),
        "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", NO_JPEG),
        "a link's text": (b"../elsewhere/ISIC_1.jpg", NO_JPEG),
        "a zip archive": (b"PK\x03\x04" + bytes(99), NO_JPEG),
        "a program": (b"\x7fELF" + bytes(99), NO_JPEG),
        "a script": (b"#!/bin/sh\nrm -rf /\n", NO_JPEG),
        "a pickle": (b"\x80\x04cos\nsystem\n(S'id'\ntR.", NO_JPEG),
        "a byte before it": (b"\0" + WHOLE, NO_JPEG),
        "a line end before it": (b"\r\n" + WHOLE, NO_JPEG),
        "line ends turned into Windows' own": (WHOLE.replace(b"\xff\xd9", b"\xff\r\n"), CUT),
        "its first half blank": (bytes(len(WHOLE) // 2) + WHOLE[len(WHOLE) // 2 :], NO_JPEG),
        "read as text and saved as UTF-8": (WHOLE.decode("latin-1").encode(), NO_JPEG),
        "12 bits a sample": (header(4, b"\x0c"), NOT_DECODED),
        "16 bits a sample": (header(4, b"\x10"), NOT_DECODED),
        "no bits a sample": (header(4, b"\0"), NOT_DECODED),
        "lossless": (header(0, b"\xff\xc3"), NOT_DECODED),
        "hierarchical": (header(0, b"\xff\xc5"), NOT_DECODED),
        "arithmetic and progressive, by its header": (header(0, b"\xff\xca"), NOT_DECODED),
        "arithmetic and lossless, by its header": (header(0, b"\xff\xcb"), NOT_DECODED),
        "no height": (header(5, b"\0\0"), NOT_DECODED),
        "no width": (header(7, b"\0\0"), NOT_DECODED),
        "no components": (header(9, b"\0"), NOT_DECODED),
        "four components in the header of three": (header(9, b"\4"), NOT_DECODED),
        "no frame": (WHOLE[:FRAME] + WHOLE[WHOLE.index(b"\xff\xda") :], NOT_DECODED),
        "no scan": (WHOLE[: WHOLE.index(b"\xff\xda")] + b"\xff\xd9", NOT_DECODED),
    }
    | {
        f"a {name} JPEG {damage}": (content[:900] + new + content[900 + gone :], DAMAGED)
        for name, content in (("baseline", WHOLE), ("progressive", PROGRESSIVE))
        for damage, new, gone in (
            ("without 100 bytes of its midst", b"", 100),
            ("with 100 bytes of its midst twice", content[800:900], 0),
            ("with zeros in its midst", bytes(100), 100),
            ("with a restart where none is due", b"\xff\xd3", 0),
        )
    }
    | {
        f"{height} × {width} px in the header of 48 × 64": (
            header(5, struct.pack(">HH", height, width)),
            DAMAGED,
        )
        for height, width in ((480, 64), (49, 64), (20, 64), (48, 640), (48, 65), (48, 16))
    }
    | {
        f"a {kind}": (encode(kind), NO_JPEG)
        for kind in ("PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "PDF", "JPEG2000", "TGA")
    }
    | {
        "a PNG of 16 bits": (
            cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
            NO_JPEG,
        ),
        "a TIFF of 16 bits": (
            cv2.imencode(".tiff", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
            NO_JPEG,
        ),
        "a PNG that says 30,000 × 30,000": (png(30_000, 30_000), NO_JPEG),
        "a PNG that says 60,000 × 60,000": (png(60_000, 60_000), NO_JPEG),
    }
    | {
        f"{height} × {width} px in a header": (
            header(5, struct.pack(">HH", height, width)),
            TOO_LARGE,
        )
        for height, width in SIDES
    }
    | {
        f"{name}, {part} of 16 parts": (content[: len(content) * part // 16], CUT)
        for name, content in (("a baseline JPEG", WHOLE), ("a progressive one", PROGRESSIVE))
        for part in range(1, 16)
    }
    | {
        f"a JPEG without its last {n} bytes": (WHOLE[:-n], CUT)
        for n in (1, 2, 3, 4, 8, 16, 64, 256, 512)
    }
)


def turned(orientation):
    """Give the photograph with an EXIF orientation, and its pixels as they should be seen."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = {  # EXIF 2.3, 4.6.4: which side of the scene the first row and the first column are
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, -1),
        7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PIXELS),
    }.get(orientation, PIXELS)
    return encode(quality=95, exif=exif), seen


# A ramp in arithmetic coding, which Pillow cannot write: by libjpeg-turbo 2.1's
# `cjpeg -quality 90 -sample 1x1 -arithmetic`.
ROWS, COLUMNS_OF = np.mgrid[:16, :16]
RAMP = np.stack([COLUMNS_OF * 8 + 60, ROWS * 6 + 40, (ROWS + COLUMNS_OF) * 4 + 70], axis=-1)
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsN"
    "DhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAQABADAREAAhEBAxEB/8wA"
    "CgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/ANsvbUiPi1ZKSOA+ChJ6rWmlzvZ5g7fLjOrDdEmEkqZVrZR2"
    "rPROv+fD6SFhNnkNXEVg/9k="
)
GREY = np.repeat(cv2.cvtColor(PIXELS, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
READ = (
    {
        "baseline": (WHOLE, PIXELS),
        "progressive": (PROGRESSIVE, PIXELS),
        "colour at full resolution": (encode(quality=95, subsampling=0), PIXELS),
        "colour at half the columns": (encode(quality=95, subsampling=1), PIXELS),
        "colour at half of both": (encode(quality=95, subsampling=2), PIXELS),
        "red, green and blue as they are": (encode(quality=95, keep_rgb=True), PIXELS),
        "restart markers": (encode(quality=95, restart_marker_blocks=1), PIXELS),
        "optimised codes": (encode(quality=95, optimize=True), PIXELS),
        "arithmetic coding": (ARITHMETIC, RAMP.astype(np.uint8)),
        "CMYK": (encode(photograph=PHOTOGRAPH.convert("CMYK"), quality=95), PIXELS),
        "grey": (encode(photograph=PHOTOGRAPH.convert("L"), quality=95), GREY),
        "a colour profile": (encode(quality=95, icc_profile=bytes(3000)), PIXELS),
        "a profile over many segments": (encode(quality=95, icc_profile=bytes(200_000)), PIXELS),
        "a comment of 60,000 letters": (encode(quality=95, comment=b"x" * 60_000), PIXELS),
        "a comment that looks like an end": (encode(quality=95, comment=b"\xff\xd9"), PIXELS),
        "several photographs": (
            encode("MPO", save_all=True, append_images=[PHOTOGRAPH], quality=95),
            PIXELS,
        ),
        "0xff before its end": (WHOLE[:-2] + b"\xff" * 99 + WHOLE[-2:], PIXELS),
        "zeros behind it": (WHOLE + bytes(9999), PIXELS),
        "a script behind it": (WHOLE + b"<?php system('id'); ?>", PIXELS),
        "an archive behind it": (WHOLE + b"PK\x05\x06" + bytes(18), PIXELS),
        "half of another behind it": (WHOLE + WHOLE[:900], PIXELS),
        "EXIF that is none": (
            WHOLE[:2] + b"\xff\xe1\x00\x10Exif\0\0" + b"\xff" * 8 + WHOLE[2:],
            PIXELS,
        ),
        "one pixel": (encode(photograph=Image.new("RGB", (1, 1), (9, 99, 199)), quality=95), None),
        "a line": (encode(photograph=PHOTOGRAPH.resize((1, 3000)), quality=95), None),
        "a line on its side": (encode(photograph=PHOTOGRAPH.resize((3000, 1)), quality=95), None),
    }
    | {f"EXIF orientation {n}": turned(n) for n in range(1, 9)}
    | {f"EXIF orientation {n}, which is none": turned(n) for n in (0, 9, 65_535)}
)


def ingest(source, raw):
    ingest_folder(source, raw, codes=CODES, setting="sets.study.source.path")


@pytest.fixture
def study(tmp_path):
    """Return a function that ingests a photograph of these bytes and this name."""

    def write_and_ingest(content, name="ISIC_1.jpg"):
        source = tmp_path / "mine"
        source.mkdir()
        stem = name.rpartition(".")[0]
        row = ["HAM_1", f'"{stem}"', "nv", "histo", "50", "male", "back"]
        (source / METADATA).write_text(
            f"{','.join(COLUMNS)}\n{','.join(row)}\n", encoding="utf-8", newline=""
        )
        if content is not None:
            (source / name).write_bytes(content)
        ingest(source, tmp_path / "raw")
        return tmp_path / "raw" / IMAGE_FOLDERS[0] / f"{stem}.jpg"

    return write_and_ingest


@pytest.mark.parametrize(("content", "fault"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_whole_jpeg_is_refused_by_name(study, capfd, content, fault):
    message = (
        r"^1 of 1 images are not complete JPEGs, first ISIC_1\.jpg: "
        rf"{fault}.*; fetch it again$"
    )
    with pytest.raises(ValueError, match=message):
        study(content)
    capfd.readouterr()  # libjpeg's own complaints


@pytest.mark.parametrize(("content", "pixels"), READ.values(), ids=READ)
@pytest.mark.parametrize("decode", ["full", "reduced"])
def test_what_is_a_jpeg_is_read_as_one_sees_it(study, capfd, content, pixels, decode):
    path = study(content)
    image = read_image(path)
    out = np.zeros((1, 8, 8, 3), np.uint8)
    resize_images([path], out, pixels=8, interpolation="area", crop="none", decode=decode)
    if pixels is None:
        pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert image.shape == pixels.shape
    # JPEG at quality 95, colours at half the resolution, CMYK by rounding: a few units of 255.
    assert np.abs(image.astype(float) - pixels).mean() < 5
    expected = cv2.resize(np.ascontiguousarray(pixels), (8, 8), interpolation=cv2.INTER_AREA)
    # Of the reduced 1/4 or 1/8 the shorter side is rounded up: half a pixel of it moves edges.
    tolerance = 5 if decode == "full" else 20
    assert np.abs(out[0].astype(float) - expected).mean() < tolerance
    capfd.readouterr()


UPLOAD = {"pixels": 8, "interpolation": "area", "crop": "none", "decode": "full"}


def upload(path):
    """Return what `lesions predict` reads of a file."""
    [[photograph]] = read_photographs([Source(str(path), path)], UPLOAD)
    return photograph


@pytest.mark.parametrize("content", [content for content, _ in REFUSED.values()], ids=REFUSED)
def test_lesions_predict_refuses_it_by_name_or_reads_it_as_its_format(tmp_path, content):
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(content)
    found = upload(path)
    if found.error:
        assert found.image is None
        assert str(path) in found.error
    else:  # a whole image of another format, under a JPEG's name
        assert not content.startswith(b"\xff\xd8")
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        expected = cv2.resize(pixels, (8, 8), interpolation=cv2.INTER_AREA)
        assert np.abs(found.image.astype(float) - expected).mean() < 2


@pytest.mark.parametrize(("content", "pixels"), READ.values(), ids=READ)
def test_lesions_predict_reads_what_the_stages_read(tmp_path, content, pixels):
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(content)
    out = np.zeros((1, 8, 8, 3), np.uint8)
    resize_images([path], out, **UPLOAD)
    found = upload(path)
    assert not found.error
    np.testing.assert_array_equal(found.image, out[0])


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of the API of `lesions serve`."""
    folder = tmp_path_factory.mktemp("model")
    model = ExportedModel(write_model(folder / "colours.onnx"))
    with TestClient(make_app({"colours": Served(model)})) as started:
        for _ in range(1000):
            if started.get("/readyz").status_code == 200:
                break
            time.sleep(0.01)
        yield started


@pytest.mark.parametrize(
    "content", [content for content, *_ in (*REFUSED.values(), *READ.values())]
)
def test_the_api_answers_as_lesions_predict(client, tmp_path, content):
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(content)
    [[expected]] = read_photographs([Source("ISIC_1.jpg", path)], UPLOAD)
    answer = client.post("/predict", files={"files": ("ISIC_1.jpg", content)})
    assert answer.status_code in ((415, 422) if expected.error else (200,))
    [row] = answer.json()["predictions"]
    if expected.error:
        assert row == {"file": "ISIC_1.jpg", "error": expected.error}
    else:
        assert row["predicted"] in COLOURS


NAMES = {
    "a blank": "my photograph.jpg",
    "many blanks": "a   b   c.jpg",
    "umlauts": "Läsion Ünter ß.jpg",
    "umlauts in two parts": "La\u0308sion.jpg",
    "Greek and Chinese": "μελάνωμα 黑色素瘤.jpg",
    "an emoji": "🔬.jpg",
    "a line end": "a\nb.jpg",
    "a tab": "a\tb.jpg",
    "a quotation mark": "a'b.jpg",
    "a semicolon and a command": "a;rm -rf x.jpg",
    "a dollar and brackets": "$(id)`id`{}.jpg",
    "a star and a question mark": "a*?[b].jpg",
    "a comma": "a,b.jpg",
    "a per cent sign": "%s%d%00.jpg",
    "a hyphen in front": "--help.jpg",
    "a backslash": "a\\b.jpg",
    "two dots within": "a..b.jpg",
    "capitals in the suffix": "ISIC_1.JPG",
    "mixed letters in the suffix": "ISIC_1.JpEg",
    "the long suffix": "ISIC_1.jpeg",
    "255 characters": "x" * 251 + ".jpg",
    "255 characters and the long suffix": "x" * 250 + ".jpeg",
    "a name of MS-DOS": "CON.jpg",
    "a right-to-left mark": "a\u202egpj.b.jpg",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_lesions_predict_reads_a_photograph_of_any_name(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE)
    [source] = find_sources([str(tmp_path / name)])
    assert upload(source.path).image is not None


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_photograph_of_any_name_is_brought_over(study, name):
    assert study(WHOLE, name).read_bytes() == WHOLE


def link_to_itself(folder):
    (folder / "ISIC_1.jpg").symlink_to("ISIC_1.jpg")


def link_in_a_ring(folder):
    (folder / "ISIC_1.jpg").symlink_to("b.jpg")
    (folder / "b.jpg").symlink_to("ISIC_1.jpg")


def link_to_nothing(folder):
    (folder / "ISIC_1.jpg").symlink_to("/nowhere/at/all.jpg")


def link_to_a_folder(folder):
    (folder.parent / "empty").mkdir()
    (folder / "ISIC_1.jpg").symlink_to(folder.parent / "empty")


def folder_for_a_file(folder):
    (folder / "ISIC_1.jpg").mkdir()


def pipe(folder):
    os.mkfifo(folder / "ISIC_1.jpg")


def device(folder):
    (folder / "ISIC_1.jpg").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "make",
    [
        link_to_itself,
        link_in_a_ring,
        link_to_nothing,
        link_to_a_folder,
        folder_for_a_file,
        pipe,
        device,
    ],
)
def test_what_is_no_file_is_refused_by_name(study, tmp_path, make):
    (tmp_path / "mine").mkdir()
    make(tmp_path / "mine")
    (tmp_path / "mine").rename(tmp_path / "made")

    def put_back():
        for path in (tmp_path / "made").iterdir():
            path.rename(tmp_path / "mine" / path.name)

    with pytest.raises(ValueError, match=r"have no file, first ISIC_1"):
        study(None)
    put_back()
    message = r" of \d paths named like an image are not files, first .*\.jpg, a .*; rename or move"
    with pytest.raises(ValueError, match=message):
        ingest(tmp_path / "mine", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_link_out_of_the_folder_is_followed_and_what_it_leads_to_is_left_as_it_is(
    study, tmp_path
):
    (tmp_path / "elsewhere.jpg").write_bytes(WHOLE)
    with pytest.raises(ValueError, match="have no file"):
        study(None)
    (tmp_path / "mine/ISIC_1.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    ingest(tmp_path / "mine", tmp_path / "raw")
    brought = tmp_path / "raw" / IMAGE_FOLDERS[0] / "ISIC_1.jpg"
    assert brought.read_bytes() == WHOLE
    assert not brought.is_symlink()
    assert (tmp_path / "elsewhere.jpg").read_bytes() == WHOLE


def test_folders_linked_in_a_ring_are_walked_once(study, tmp_path):
    with pytest.raises(ValueError, match="have no file"):
        study(None)
    deep = tmp_path / "mine/a/b"
    deep.mkdir(parents=True)
    (deep / "up").symlink_to(tmp_path / "mine")
    (deep / "ISIC_1.jpg").write_bytes(WHOLE)
    ingest(tmp_path / "mine", tmp_path / "raw")
    assert (tmp_path / "raw" / IMAGE_FOLDERS[0] / "ISIC_1.jpg").read_bytes() == WHOLE


def test_a_link_out_of_the_folder_to_what_is_no_photograph_is_refused(study, tmp_path):
    with pytest.raises(ValueError, match="have no file"):
        study(None)
    (tmp_path / "secret").write_text("a password", encoding="utf-8")
    (tmp_path / "mine/ISIC_1.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=NO_JPEG):
        ingest(tmp_path / "mine", tmp_path / "raw")
    assert (tmp_path / "secret").read_text(encoding="utf-8") == "a password"


PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from lesions.imaging.images import resize_images
from lesions.imaging.jpeg import find_fault
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fault = find_fault(path)
assert "pixels" in fault, fault
out = np.zeros((1, 8, 8, 3), np.uint8)
try:
    resize_images([path], out, pixels=8, interpolation="area", crop="none")
except ValueError as error:
    assert "is too large to decode" in str(error), error
else:
    raise AssertionError("it was decoded")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", [b"\xff\xc0", b"\xff\xc2"], ids=["baseline", "progressive"])
def test_a_header_of_30000_by_30000_pixels_takes_no_memory(tmp_path, kind):
    bomb = bytearray(header(5, struct.pack(">HH", 30_000, 30_000)))
    bomb[FRAME : FRAME + 2] = kind
    (tmp_path / "bomb.jpg").write_bytes(bomb)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "bomb.jpg"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    # KiB. Decoded it would be 30,000² × 3 bytes = 2.7 GB; `_keep_memory` alone takes up to 16 MiB.
    assert int(done.stdout) < 64 * 1024


def test_the_largest_photograph_that_is_decoded_is_within_the_limit():
    assert 30_000**2 > MAX_PIXELS > 6_000 * 8_000  # above 48 megapixels: no dermatoscope has more
