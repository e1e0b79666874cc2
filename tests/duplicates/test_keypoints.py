import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.duplicates import keypoints as module
from lesions.duplicates.keypoints import (
    LENGTH,
    N_KEYPOINTS,
    count_matches,
    find_keypoints,
    read_keypoints,
)
from lesions.imaging.images import read_image


def count(first, second):
    """Return the number of matches of two photographs."""
    pairs = pd.DataFrame({"row": [0], "other_row": [1]})
    return count_matches([find_keypoints(first), find_keypoints(second)], pairs)[0]


def test_a_part_at_another_scale_matches_and_its_mirror_image_does_not(photographs):
    # A mirror image has the same details, but no rotation, scale and shift brings them together.
    for photograph in photographs[:5]:
        part = photograph[60:360, 90:510]
        assert count(photograph, part) > 20
        assert count(photograph, part[:, ::-1]) < 10


def test_different_lesions_do_not_match(photographs):
    found = [find_keypoints(photograph) for photograph in photographs]
    pairs = pd.DataFrame({"row": range(20), "other_row": range(1, 21)})
    assert count_matches(found, pairs).max() < 10


def test_a_copy_that_is_too_small_is_no_match(photographs, monkeypatch):
    photograph = photographs[0]
    small = np.full_like(photograph, 128)
    small[:225, :300] = photograph[::2, ::2]
    assert count(photograph, small) > 10
    monkeypatch.setattr(module, "SCALES", (0.7, 1.4))
    assert count(photograph, small) == 0


@pytest.mark.parametrize("shape", [(450, 600), (28, 28), (1, 5)])
def test_photographs_of_any_size_have_keypoints_in_the_same_frame(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    found = find_keypoints(image)
    assert found.points.shape == (len(found.descriptors), 2)
    assert found.descriptors.dtype == np.uint8
    assert found.points.max(initial=0) < LENGTH
    assert len(found.points) < 1.1 * N_KEYPOINTS


def test_a_photograph_of_one_colour_has_no_keypoints_and_no_matches(photographs):
    plain = np.full((450, 600, 3), 99, np.uint8)
    assert find_keypoints(plain).descriptors.shape == (0, 128)
    assert [count(plain, plain), count(plain, photographs[0]), count(photographs[0], plain)] == [
        *(0, 0, 0)
    ]


def test_the_number_of_threads_changes_nothing(photographs, tmp_path, monkeypatch):
    files = [tmp_path / f"{row}.png" for row in range(6)]
    for file, photograph in zip(files, photographs, strict=False):
        assert cv2.imwrite(str(file), photograph)
    pairs = pd.DataFrame({"row": [0] * 5, "other_row": range(1, 6)})
    results = []
    for n_workers in ("1", "4"):
        monkeypatch.setenv("LESIONS_WORKERS", n_workers)
        found = read_keypoints(files)
        results.append((found, count_matches(found, pairs)))
    (first, counts), (second, same) = results
    np.testing.assert_array_equal(counts, same)
    for one, other, file in zip(first, second, files, strict=True):
        expected = find_keypoints(read_image(file))
        np.testing.assert_array_equal(one.descriptors, other.descriptors)
        np.testing.assert_array_equal(one.points, expected.points)
