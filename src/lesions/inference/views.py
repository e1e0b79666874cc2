"""Views of an image for test-time augmentation: a lesion has no up and no left."""

from collections.abc import Iterator

import numpy as np

# Quarter turns and mirroring of each view, by `predict.tta` of params.yaml. `dihedral` are the
# eight symmetries of the square, `flips` those that only reverse rows, columns or both.
VIEWS = {
    "none": [(0, False)],
    "flips": [(turns, mirrored) for mirrored in (False, True) for turns in (0, 2)],
    "dihedral": [(turns, mirrored) for mirrored in (False, True) for turns in range(4)],
}


def views(images: np.ndarray, *, tta: str) -> Iterator[np.ndarray]:
    """Yield the images in each of the `VIEWS`, the images themselves first.

    Parameters
    ----------
    images
        `(n_images, pixels, pixels, 3)`, square.
    tta
        `none`, `flips` or `dihedral`.
    """
    for turns, mirrored in VIEWS[tta]:
        yield np.rot90(images[:, :, ::-1] if mirrored else images, turns, axes=(1, 2))
