import numpy as np
import pytest
from PIL import Image

from lesions.explain.masks import read_masks


@pytest.fixture
def folder(tmp_path):
    """Two photographs of 80 × 60 px, and their masks; the lesion of `a` is at the left."""
    for name in ("a", "b"):
        Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(tmp_path / f"{name}.jpg")
        write(tmp_path, name, np.s_[:, :40] if name == "a" else np.s_[20:40, 30:50])
    return tmp_path


def write(folder, name, where, *, shape=(60, 80), value=255):
    mask = np.zeros(shape, np.uint8)
    mask[where] = value
    Image.fromarray(mask).save(folder / f"{name}_segmentation.png")


def read(folder, *, crop="none", pixels=20):
    photographs = [folder / "a.jpg", folder / "b.jpg"]
    return read_masks(folder, ["a", "b"], photographs, pixels=pixels, crop=crop)


def test_a_mask_is_resized_as_its_photograph(folder):
    found = read(folder)
    assert (found.dtype, found.shape) == (bool, (2, 20, 20))
    expected = np.zeros((20, 20), bool)
    expected[:, :10] = True
    np.testing.assert_array_equal(found[0], expected)
    # Rows 20 to 40 of 60 and columns 30 to 50 of 80, in units of 3 and 4 px.
    assert found[1, 7:13, 8:12].all()
    assert found[1].sum() == pytest.approx(20 * 20 / 12, abs=8)


def test_a_mask_is_cropped_as_its_photograph(folder):
    """Of 80 columns the 60 in the middle remain, of the left half 30."""
    expected = np.zeros((20, 20), bool)
    expected[:, :10] = True
    np.testing.assert_array_equal(read(folder, crop="square")[0], expected)
    write(folder, "a", np.s_[:, :20])  # 10 of 60 columns remain
    assert read(folder, crop="square")[0].mean() == pytest.approx(1 / 6, abs=0.03)


def test_a_mask_may_have_more_pixels_and_three_channels(folder):
    before = read(folder)
    write(folder, "a", np.s_[:, :120], shape=(180, 240))
    mask = Image.open(folder / "b_segmentation.png").convert("RGB")
    mask.save(folder / "b_segmentation.png")
    np.testing.assert_array_equal(read(folder), before)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "b_segmentation.png").unlink(), "b_segmentation.png is missing; every val"),
        (
            lambda f: (f / "b_segmentation.png").write_bytes(b"\x89PNG"),
            "b_segmentation.png is not a complete image",
        ),
        (lambda f: (f / "b_segmentation.png").write_bytes(b""), "is not a complete image"),
        (lambda f: write(f, "b", np.s_[:], value=1), "shows no lesion: no pixel is lighter"),
        (
            lambda f: write(f, "b", np.s_[:], shape=(60, 60)),
            "has 60 × 60 px, the photograph b.jpg 80 × 60; a mask needs the photograph's frame",
        ),
        (lambda f: write(f, "b", np.s_[:], shape=(80, 60)), "has 60 × 80 px, the photograph"),
    ],
)
def test_what_is_wrong_with_a_mask_is_said(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError, match=r"The mask .*b_segmentation\.png") as refused:
        read(folder)
    assert message in str(refused.value)
