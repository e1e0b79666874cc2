import cv2
import numpy as np
import pytest

from lesions.imaging.formats import refuse_broken
from lesions.imaging.jpeg import find_fault, find_size


def jpeg(seed=0, *, size=24, suffix=".jpg", options=()):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


COMPLETE = jpeg(1, size=64)
PROGRESSIVE = jpeg(1, size=64, options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
PNG = jpeg(1, suffix=".png")
# A thumbnail has an end of its own, which must not be taken for the end of the photograph.
APP1 = b"\xff\xe1" + (2 + len(COMPLETE)).to_bytes(2, "big") + COMPLETE
THUMBNAIL = COMPLETE[:2] + APP1 + COMPLETE[2:]
HALF = len(COMPLETE) // 2
CONTENTS = {
    "half a file": (COMPLETE[:HALF], f"cut off after {HALF} bytes, before the end"),
    "all but the last byte": (COMPLETE[:-1], f"cut off after {len(COMPLETE) - 1} bytes"),
    "half a progressive file": (PROGRESSIVE[:HALF], f"cut off after {HALF} bytes"),
    "an end filled with zeros": (COMPLETE[:HALF] + bytes(HALF), f"cut off after {2 * HALF} bytes"),
    "half a file behind a complete thumbnail": (
        THUMBNAIL[: len(APP1) + HALF],
        f"cut off after {len(APP1) + HALF} bytes",
    ),
    "an empty file": (b"", r"the file is empty \(0 bytes\)"),
    "a PNG": (PNG, rf"its {len(PNG)} bytes are not a JPEG, they begin with b'\\x89PNG"),
    "a file without 500 bytes in the middle": (
        COMPLETE[:HALF] + COMPLETE[HALF + 500 :],
        "its pixels are damaged, libjpeg says: Corrupt JPEG data: ",
    ),
    "no image between start and end": (b"\xff\xd8\xff\xd9", "its 4 bytes cannot be decoded"),
}


@pytest.mark.parametrize(("content", "fault"), CONTENTS.values(), ids=CONTENTS)
def test_an_incomplete_jpeg_is_refused(tmp_path, capfd, content, fault):
    (tmp_path / "complete.jpg").write_bytes(COMPLETE)
    (tmp_path / "broken.jpg").write_bytes(content)
    files = {name: tmp_path / f"{name[:-2]}.jpg" for name in ("complete 1", "broken 2", "broken 3")}
    message = rf"^2 of 3 images are not complete JPEGs, first broken 2: {fault}.*; fetch it again$"
    with pytest.raises(ValueError, match=message):
        refuse_broken(files)
    assert "JPEG" not in capfd.readouterr().err  # what libjpeg says, without a file's name


@pytest.mark.parametrize(
    "content",
    [
        COMPLETE + b"\0" * 999,
        COMPLETE + b"made by a camera",
        PROGRESSIVE,
        THUMBNAIL,
        COMPLETE + COMPLETE[:HALF],
    ],
    ids=["zeros behind", "text behind", "progressive", "thumbnail", "half an image behind"],
)
def test_a_complete_jpeg_is_accepted_whatever_follows_it(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    refuse_broken({"x": tmp_path / "x.jpg"})


@pytest.mark.parametrize("complete", [jpeg(3), jpeg(3, options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))])
def test_no_truncated_jpeg_is_accepted(tmp_path, complete):
    path = tmp_path / "x.jpg"
    for length in range(0, len(complete), 7):
        path.write_bytes(complete[:length])
        assert find_fault(path), length
    path.write_bytes(complete)
    assert not find_fault(path)


def test_the_size_is_that_of_the_header():
    pixels = np.zeros((30, 500, 3), np.uint8)
    assert find_size(cv2.imencode(".jpg", pixels)[1].tobytes()) == (30, 500)
    progressive = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert find_size(progressive) == (30, 500)
    assert find_size(cv2.imencode(".jpg", pixels[..., 0])[1].tobytes()) == (30, 500)


def test_the_size_is_not_that_of_a_thumbnail():
    small = jpeg(2, size=16)
    app1 = b"\xff\xe1" + (2 + len(small)).to_bytes(2, "big") + small
    assert find_size(COMPLETE[:2] + app1 + COMPLETE[2:]) == (64, 64)


def test_the_size_is_known_before_the_pixels():
    start_of_scan = COMPLETE.index(b"\xff\xda")
    assert find_size(COMPLETE[:start_of_scan]) == (64, 64)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        PNG,
        b"no image",
        b"\xff\xd8\xff\xda\x00\x02" + COMPLETE,
    ],
    ids=["nothing", "a start", "start and end", "a PNG", "text", "a scan before any frame"],
)
def test_data_without_a_frame_have_no_size(content):
    assert find_size(content) is None


def test_a_table_of_huffman_codes_is_not_a_frame():
    table = COMPLETE.index(b"\xff\xc4")
    frame = COMPLETE.index(b"\xff\xc0")
    end = frame + 2 + int.from_bytes(COMPLETE[frame + 2 : frame + 4], "big")
    moved = (
        COMPLETE[:frame] + COMPLETE[end:]
    )  # the header without its frame, which follows the tables
    start_of_scan = moved.index(b"\xff\xda")
    assert table > frame
    swapped = moved[:start_of_scan] + COMPLETE[frame:end] + moved[start_of_scan:]
    assert find_size(swapped) == (64, 64)
