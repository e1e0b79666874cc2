import numpy as np
import pytest

from lesions.duplicates.alignment import aligned_similarity

UNCHANGED = {"zoom": 1.0, "flip": False, "rotation": 0}


@pytest.fixture(scope="module")
def square(draw_square):
    return draw_square(1)


def test_a_photograph_has_similarity_1_to_itself(square):
    assert aligned_similarity(square, square, **UNCHANGED) == pytest.approx(1, abs=1e-3)


def test_a_photograph_turned_upside_down_is_similar_once_it_is_flipped_back(square):
    flipped = np.ascontiguousarray(square[::-1])
    similarity = aligned_similarity(square, flipped, **UNCHANGED | {"flip": True})
    assert similarity == pytest.approx(1, abs=1e-3)


def test_a_translation_is_found(draw_square):
    # The second is three pixels lower and two to the right; 29/32 * 30/32 = 85 % overlap.
    wide = draw_square(1, side=40)
    first, second = wide[4:36, 4:36].copy(), wide[1:33, 2:34].copy()
    assert aligned_similarity(first, second, **UNCHANGED) > 0.995


def test_exposure_and_tint_matter_little(square):
    darker = (square * [0.8, 0.7, 0.75]).astype(np.uint8)
    assert aligned_similarity(square, darker, **UNCHANGED) > 0.98


def test_photographs_of_one_colour_have_similarity_0(square):
    grey = np.full((32, 32, 3), 120, np.uint8)
    assert aligned_similarity(grey, grey, **UNCHANGED) == 0
    assert aligned_similarity(grey, square, **UNCHANGED) == 0


def test_too_small_an_overlap_is_no_evidence(square):
    # A zoom of 1/2 needs twice the width of the moving photograph: only a quarter overlaps.
    grey = np.full((32, 32, 3), 120, np.uint8)
    assert aligned_similarity(grey, square, **UNCHANGED | {"zoom": 0.5}) == -1
