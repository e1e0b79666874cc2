"""How much of an explanation lies in the lesion, beside maps that know nothing of the network.

Evidence is float `(n_images, height, width)`, at least 0; masks are bool of the same shape.
"""

import numpy as np

SPREAD = 0.25  # standard deviation of the centred Gaussian, in widths of the image


def energy_inside(evidence: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each image's evidence that lies in its mask, `(n_images,)`.

    It is the energy-based pointing game of Wang et al., "Score-CAM", CVPR workshops 2020. NaN where
    there is no evidence at all.
    """
    total = evidence.sum(axis=(1, 2), dtype=np.float64)
    inside = np.where(masks, evidence, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def points_inside(evidence: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return whether the largest evidence of each image lies in its mask, bool `(n_images,)`.

    It is the pointing game of Zhang et al., "Top-down neural attention by excitation backprop",
    ECCV 2016, without tolerance. Of several largest values the first counts.
    """
    largest = evidence.reshape(len(evidence), -1).argmax(axis=1)
    return masks.reshape(len(masks), -1)[np.arange(len(masks)), largest]


def centred_gaussian(n_images: int, *, pixels: int) -> np.ndarray:
    """Return evidence that only knows that lesions are photographed in the middle."""
    position = (np.arange(pixels) + 0.5) / pixels - 0.5
    one = np.exp(-0.5 * (position / SPREAD) ** 2)
    return np.broadcast_to(np.outer(one, one), (n_images, pixels, pixels))


def uniform(n_images: int, *, pixels: int) -> np.ndarray:
    """Return evidence that is everywhere the same: its energy is the mask's share of the image."""
    return np.ones((n_images, pixels, pixels))
