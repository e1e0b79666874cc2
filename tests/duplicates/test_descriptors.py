import numpy as np
import pandas as pd
import pytest

from lesions.duplicates.descriptors import N_ANGLES, ZOOMS, find_candidates, ring_spectra


@pytest.fixture(scope="module")
def squares(draw_square):
    return np.stack([draw_square(seed) for seed in range(12)])


def test_a_quarter_turn_and_a_flip_do_not_change_the_magnitudes(squares):
    magnitudes = np.abs(ring_spectra(squares))
    rotated = np.abs(ring_spectra(np.rot90(squares, axes=(1, 2))))
    flipped = np.abs(ring_spectra(squares[:, ::-1]))
    np.testing.assert_allclose(rotated, magnitudes, atol=1e-3)
    np.testing.assert_allclose(flipped, magnitudes, atol=1e-3)


def test_a_photograph_of_one_colour_has_no_spectrum():
    grey = np.full((2, 32, 32, 3), [[[[120, 90, 80]]], [[[0, 0, 0]]]], np.uint8)
    assert not ring_spectra(grey).any()


def test_the_rotation_of_a_photograph_is_found(squares):
    rotated = np.rot90(squares[0], axes=(0, 1))
    candidates = find_candidates(np.stack([*squares, rotated]), n_neighbors=1)
    [pair] = candidates.query("moving == 12 and fixed == 0").itertuples()
    assert (pair.zoom, pair.flip) == (ZOOMS[0], False)
    # A quarter of a circle, in one direction or the other.
    assert pair.rotation in (N_ANGLES // 4, 3 * N_ANGLES // 4)


def test_no_photograph_is_its_own_candidate_and_no_pair_occurs_twice(squares):
    candidates = find_candidates(squares, n_neighbors=4)
    assert (candidates["fixed"] != candidates["moving"]).all()
    assert not candidates.duplicated(["fixed", "moving"]).any()
    assert len(candidates) == 12 * 4


def test_more_neighbours_than_photographs_compare_each_with_all_others(squares):
    assert len(find_candidates(squares, n_neighbors=100)) == 12 * 11


def test_a_single_photograph_has_no_candidate(squares):
    candidates = find_candidates(squares[:1], n_neighbors=3)
    assert candidates.empty
    assert list(candidates) == list(find_candidates(squares, n_neighbors=3))


def test_the_search_does_not_depend_on_the_size_of_a_chunk(squares, monkeypatch):
    expected = find_candidates(squares, n_neighbors=3)
    monkeypatch.setattr("lesions.duplicates.descriptors.CHUNK", 5)
    candidates = find_candidates(squares, n_neighbors=3)
    order = ["moving", "fixed"]
    pd.testing.assert_frame_equal(
        candidates.sort_values(order, ignore_index=True),
        expected.sort_values(order, ignore_index=True),
    )


def test_neighbours_that_an_approximate_search_misses_are_left_out(squares, monkeypatch):
    # Of three lists of twelve photographs only one is searched: none has eight others.
    monkeypatch.setattr("lesions.duplicates.search.N_PROBES", 1)
    candidates = find_candidates(squares, n_neighbors=8, search="approximate")
    assert 0 < len(candidates) < 12 * 8
    assert candidates["fixed"].between(0, 11).all()
    assert (candidates["fixed"] != candidates["moving"]).all()
