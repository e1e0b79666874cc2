import cv2
import numpy as np
import pytest

from lesions.demo import draw_photograph
from lesions.descriptors import N_ANGLES, ZOOMS, find_candidates, ring_spectra
from lesions.images import central_square


def square(seed, size=32):
    photograph = draw_photograph("mel", lesion_seed=seed, photo_seed=seed)
    return cv2.resize(central_square(photograph), (size, size), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def squares():
    return np.stack([square(seed) for seed in range(12)])


def test_a_quarter_turn_and_a_flip_leave_the_magnitudes_as_they_are(squares):
    magnitudes = np.abs(ring_spectra(squares))
    turned = np.abs(ring_spectra(np.rot90(squares, axes=(1, 2))))
    flipped = np.abs(ring_spectra(squares[:, ::-1]))
    np.testing.assert_allclose(turned, magnitudes, atol=1e-3)
    np.testing.assert_allclose(flipped, magnitudes, atol=1e-3)


def test_a_photograph_of_one_colour_has_no_spectrum():
    grey = np.full((2, 32, 32, 3), [[[[120, 90, 80]]], [[[0, 0, 0]]]], np.uint8)
    assert not ring_spectra(grey).any()


def test_the_way_a_photograph_was_turned_is_told(squares):
    turned = np.rot90(squares[0], axes=(0, 1))
    images = np.stack([*squares, turned])
    found = find_candidates(images, n_neighbors=1)
    [row] = np.flatnonzero((found.moving == 12) & (found.fixed == 0))
    assert (found.zoom[row], found.flip[row]) == (ZOOMS[0], False)
    # A quarter of a circle, in one direction or the other.
    assert found.turn[row] in (N_ANGLES // 4, 3 * N_ANGLES // 4)


def test_no_photograph_is_its_own_candidate_and_no_pair_comes_twice(squares):
    found = find_candidates(squares, n_neighbors=4)
    assert (found.fixed != found.moving).all()
    assert len(set(zip(found.fixed, found.moving, strict=True))) == len(found.fixed) == 12 * 4


def test_more_neighbours_than_photographs_compare_each_with_all_others(squares):
    found = find_candidates(squares, n_neighbors=100)
    assert len(found.fixed) == 12 * 11


def test_one_photograph_has_no_candidate(squares):
    assert len(find_candidates(squares[:1], n_neighbors=3).fixed) == 0


def test_the_search_does_not_depend_on_how_many_are_asked_for_at_a_time(squares, monkeypatch):
    whole = find_candidates(squares, n_neighbors=3)
    monkeypatch.setattr("lesions.descriptors.CHUNK", 5)
    for one, other in zip(whole, find_candidates(squares, n_neighbors=3), strict=True):
        np.testing.assert_array_equal(one, other)
