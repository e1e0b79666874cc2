"""`lesions explain` as a user runs it."""

import numpy as np
import pytest
from made_up_model import write_model
from PIL import Image

from lesions.app.command_line import main
from lesions.app.explain import LINE, MARGIN, SHOWN
from lesions.app.formats import DISCLAIMER


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two folders with a photograph of the same name, red at the left and blue at the right."""
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :30, 0], pixels[:, 30:, 2] = 200, 100
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "photo.png")
    write_model(tmp_path / "exports/colours.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*arguments):
    return main(["explain", *arguments, "--model", "colours", "--out", "pictures"])


def read(name):
    with Image.open(f"pictures/{name}") as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def halves(picture):
    """Return the mean brightness of the left and the right half of the overlay."""
    left = 2 * MARGIN + SHOWN
    shown = picture[MARGIN : MARGIN + SHOWN, left : left + SHOWN].sum(axis=2)
    return shown[:, : SHOWN // 2].mean(), shown[:, SHOWN // 2 :].mean()


def test_a_picture_for_each_photograph(folder, capfd):
    assert explain("first", "second") == 0
    assert capfd.readouterr().out.split() == ["pictures/photo.png", "pictures/photo-2.png"]
    picture = read("photo.png")
    assert picture.shape == (SHOWN + 2 * MARGIN + 2 * LINE, 2 * SHOWN + 3 * MARGIN, 3)
    # The photograph itself stands at the left.
    np.testing.assert_array_equal(picture[MARGIN + 5, MARGIN + 5], [200, 0, 0])
    # Something is written below.
    assert picture[-2 * LINE - MARGIN :].min() < 100


def test_the_evidence_is_where_the_class_is(folder):
    explain("first")
    left, right = halves(read("photo.png"))
    assert left > right
    explain("first", "--class", "blue")
    left, right = halves(read("photo.png"))
    assert right > left


def test_a_bad_file_has_its_own_line_and_the_others_are_drawn(folder, capfd):
    (folder / "first/cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert explain("first", "nosuch.jpg") == 1
    printed = capfd.readouterr()
    assert printed.out.split() == ["pictures/photo.png"]
    assert DISCLAIMER in printed.err
    assert "first/cut.png is not a complete image" in printed.err
    assert "There is no file nosuch.jpg" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["first", "--class", "violet"],
            "The model has no class violet; choose from red, green, blue",
        ),
        (["-"], "'lesions explain' reads files, not standard input"),
    ],
)
def test_what_is_wrong_is_said(folder, capfd, arguments, message):
    assert explain(*arguments) == 1
    assert message in capfd.readouterr().err
