import cv2
import numpy as np
import pytest

from lesions.imaging.images import resize_images
from lesions.imaging.photographs import Photographs, open_photographs

N, SETTINGS = 20, {"interpolation": "linear", "crop": "square", "decode": "reduced"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEGs of several sizes, each other than all others."""
    folder = tmp_path_factory.mktemp("raw")
    for row in range(N):
        pixels = np.random.default_rng(row).integers(0, 256, (90 + row, 120, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{row}.jpg"), pixels)
    return folder


def open_(folder, **changes):
    names = [f"{row}.jpg" for row in range(N)]
    return open_photographs(folder, names, **SETTINGS | {"pixels": 40} | changes)


@pytest.mark.parametrize(
    "changes", [{}, {"decode": "full"}, {"crop": "none", "pixels": 24}], ids=str
)
def test_the_images_are_those_that_resizing_stores(folder, changes):
    images = open_(folder, **changes)
    settings = SETTINGS | {"pixels": 40} | changes
    stored = np.empty((N, settings["pixels"], settings["pixels"], 3), np.uint8)
    resize_images([folder / f"{row}.jpg" for row in range(N)], stored, **settings)
    assert images.shape == stored.shape
    assert len(images) == N
    for rows in (
        slice(None),
        slice(3, 7),
        np.array([5, 0, 5]),
        np.arange(N) % 7 == 0,
        np.arange(0),
    ):
        np.testing.assert_array_equal(images[rows], stored[rows])
        assert images[rows].dtype == np.uint8


def test_only_the_photographs_that_are_asked_for_are_read(folder):
    images = Photographs([folder / "0.jpg", folder / "missing.jpg"], pixels=40, **SETTINGS)
    assert images[:1].shape == (1, 40, 40, 3)
    with pytest.raises(FileNotFoundError, match="missing"):
        images[:2]


def test_an_array_that_was_stored_is_opened_as_such(tmp_path, folder):
    np.save(tmp_path / "images.npy", np.zeros((N, 40, 40, 3), np.uint8))
    assert isinstance(open_(tmp_path / "images.npy"), np.memmap)
    with pytest.raises(ValueError, match=r"holds images of 40 × 40 × 3, but resize\.pixels is 24"):
        open_(tmp_path / "images.npy", pixels=24)
    assert isinstance(open_(folder), Photographs)
