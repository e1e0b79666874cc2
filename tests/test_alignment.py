import numpy as np
import pytest
from test_descriptors import square

from lesions.alignment import similarity_of_aligned

AS_IS = {"zoom": 1.0, "flip": False, "turn": 0}


def test_a_photograph_is_wholly_similar_to_itself():
    assert similarity_of_aligned(square(1), square(1), **AS_IS) == pytest.approx(1, abs=1e-3)


def test_a_photograph_turned_upside_down_is_similar_once_it_is_flipped_back():
    flipped = np.ascontiguousarray(square(1)[::-1])
    found = similarity_of_aligned(square(1), flipped, **AS_IS | {"flip": True})
    assert found == pytest.approx(1, abs=1e-3)


def test_a_shift_is_found():
    # The second lies three pixels lower and two to the right; 29/32 * 30/32 = 85 % are common.
    wide = square(1, size=40)
    found = similarity_of_aligned(wide[4:36, 4:36].copy(), wide[1:33, 2:34].copy(), **AS_IS)
    assert found > 0.995


def test_exposure_and_tint_count_little():
    darker = (square(1) * [0.8, 0.7, 0.75]).astype(np.uint8)
    assert similarity_of_aligned(square(1), darker, **AS_IS) > 0.98


def test_photographs_of_one_colour_are_similar_to_none():
    grey = np.full((32, 32, 3), 120, np.uint8)
    assert similarity_of_aligned(grey, grey, **AS_IS) == 0
    assert similarity_of_aligned(grey, square(1), **AS_IS) == 0


def test_too_small_an_overlap_is_no_evidence():
    # A zoom of 1/2 asks for twice the width of the moving photograph: a quarter of it is there.
    grey = np.full((32, 32, 3), 120, np.uint8)
    assert similarity_of_aligned(grey, square(1), **AS_IS | {"zoom": 0.5}) == -1
