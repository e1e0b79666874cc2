"""Single synthetic photographs."""

from collections.abc import Sequence

import numpy as np

from lesions.datasets.synthetic.camera import take_photograph
from lesions.datasets.synthetic.pigments import draw_lesion


def draw_photograph(
    dx: str, *, lesion_seed: int | Sequence[int], photo_seed: int | Sequence[int]
) -> np.ndarray:
    """Return a photograph of an invented lesion, uint8 RGB `(450, 600, 3)`."""
    lesion = draw_lesion(dx, np.random.default_rng(lesion_seed))
    return take_photograph(lesion, np.random.default_rng(photo_seed))
