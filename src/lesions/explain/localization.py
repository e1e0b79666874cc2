"""How much of an explanation lies in the lesion, beside maps that know nothing of the network.

Evidence is float `(n_images, height, width)`, at least 0; masks are bool of the same shape.
"""

from collections.abc import Mapping

import numpy as np

from lesions.explain.estimates import Bootstrap

GAUSSIAN, UNIFORM = "Gaussian in the centre", "the same everywhere"  # know nothing of the network
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


def measure_localization(
    heats: Mapping[str, np.ndarray], masks: np.ndarray, bootstrap: Bootstrap
) -> list[dict]:
    """Return how much of each kind of evidence lies in the lesion.

    Parameters
    ----------
    heats
        Name to evidence; those of maps that know nothing are added.

    Returns
    -------
    list of dict
        `map`, `energy`, `energy_above_gaussian` (paired) and `largest_inside`, see
        `lesions.explain.localization`.
    """
    n, pixels = masks.shape[:2]
    kinds = {**heats, GAUSSIAN: centred_gaussian(n, pixels=pixels)}
    kinds[UNIFORM] = uniform(n, pixels=pixels)
    energies = {kind: energy_inside(heat, masks) for kind, heat in kinds.items()}
    rows = []
    for kind, heat in kinds.items():
        more = energies[kind] - energies[GAUSSIAN]
        is_flat = kind == UNIFORM  # its largest value is anywhere
        inside = None if is_flat else bootstrap.mean(points_inside(heat, masks).astype(float))
        rows.append(
            {
                "map": kind,
                "energy": bootstrap.mean(energies[kind]),
                "energy_above_gaussian": bootstrap.mean(more) if kind != GAUSSIAN else None,
                "largest_inside": inside,
            }
        )
    return rows
