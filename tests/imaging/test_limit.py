"""OpenCV's own limit: headers may state a size that ours do not find."""

import io
import os
import struct
import subprocess
import sys
import zlib

import pytest
from cloned import ROOT
from PIL import Image

SIDE = 12_000


def big_tiff():
    """A file of some kB: a single row's strip of zeros, repeated."""
    strip = zlib.compress(bytes(SIDE * 1000), 9)
    n = SIDE // 1000
    offsets, counts = struct.pack(f"<{n}Q", *[16] * n), struct.pack(f"<{n}Q", *[len(strip)] * n)
    start = 16 + len(strip)
    entries = [
        *((256, 4, 1, SIDE), (257, 4, 1, SIDE), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)),
        *((273, 16, n, start), (277, 3, 1, 1), (278, 4, 1, 1000)),
        (279, 16, n, start + len(offsets)),
    ]
    directory = struct.pack("<Q", len(entries))
    directory += b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8)
    place = struct.pack("<Q", start + len(offsets) + len(counts))
    return b"II+\0\x08\0\0\0" + place + strip + offsets + counts + directory


def jpeg_with_a_marker_alone():
    stream = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(stream, "JPEG", quality=1)
    return stream.getvalue()[:2] + b"\xff\x01" + stream.getvalue()[2:]


@pytest.mark.parametrize("make", [big_tiff, jpeg_with_a_marker_alone])
def test_what_is_too_large_is_refused_whatever_its_header_hides(tmp_path, make):
    file = tmp_path / "large"
    file.write_bytes(make())
    # In a new process: OpenCV reads its limit once.
    done = subprocess.run(
        [sys.executable, "-m", "lesions.app", "predict", str(file)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert f"{file} is not a complete image" in done.stderr
