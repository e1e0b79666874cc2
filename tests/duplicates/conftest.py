"""Synthetic photographs, and a small table of pairs."""

import cv2
import numpy as np
import pandas as pd
import pytest
from photographs import draw_photograph

from lesions.imaging.images import central_square

DIAGNOSES = ["nv", "mel", "bkl", "bcc", "akiec", "vasc", "df"]


@pytest.fixture(scope="session")
def draw_square():
    """Return a function that draws the central square of a melanoma, reduced to `side` px."""

    def draw(seed, side=32):
        photograph = draw_photograph("mel", lesion_seed=seed, photo_seed=seed)
        return cv2.resize(central_square(photograph), (side, side), interpolation=cv2.INTER_AREA)

    return draw


@pytest.fixture(scope="session")
def photographs():
    """Return 21 photographs of different lesions, three of each diagnosis."""
    return [
        draw_photograph(DIAGNOSES[seed % 7], lesion_seed=seed, photo_seed=100 + seed)
        for seed in range(21)
    ]


@pytest.fixture(scope="session")
def reduce_photograph():
    """Return a function that reduces the central 300 × 300 px to 32 × 32.

    A photograph that was rotated has black corners, which this leaves out.
    """

    def reduce(photograph):
        square = np.ascontiguousarray(central_square(photograph)[75:-75, 75:-75])
        return cv2.resize(square, (32, 32), interpolation=cv2.INTER_AREA)

    return reduce


@pytest.fixture(scope="session")
def squares(photographs, reduce_photograph):
    """Return the reduced photographs, uint8 (21, 32, 32, 3)."""
    return np.stack([reduce_photograph(photograph) for photograph in photographs])


@pytest.fixture
def labels():
    """Return six photographs of four lesions; the index is not 0 to 5."""
    table = {
        "image_id": ["a1", "a2", "b1", "c1", "c2", "d1"],
        "lesion_id": ["L2", "L2", "L1", "L4", "L4", "L3"],
        "dx": ["nv", "nv", "mel", "bkl", "bkl", "df"],
    }
    return pd.DataFrame(table, index=[10, 11, 12, 13, 14, 15])


@pytest.fixture
def pairs():
    """Return pairs of `labels`; a1-a2 and a2-b1 are near-duplicates, c1-d1 just not."""
    rows = [(0, 1, 0.995, 90), (1, 2, 0.985, 10), (3, 5, 0.9849, 9), (3, 4, 0.5, 0)]
    table = pd.DataFrame(rows, columns=["row", "other_row", "similarity", "matches"])
    return table.assign(near_duplicate=[True, True, False, False])
