"""Similarity of two photographs after alignment."""

import cv2
import numpy as np
import pandas as pd

from lesions.duplicates.descriptors import N_ANGLES, RADIUS
from lesions.imaging.threads import map_in_threads

MIN_OVERLAP = 0.5  # of the disc; a smaller overlap is no evidence
CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
FILTER_SIZE = 3  # px, of the Gaussian filter during alignment
BLUR_SIGMA = 0.8  # px, before comparison; resampling changes only finer detail


def align_candidates(images: np.ndarray, candidates: pd.DataFrame) -> np.ndarray:
    """Return the `aligned_similarity` of every candidate pair, float64 `(n_candidates,)`.

    `images` are uint8 RGB `(n_images, side, side, 3)`, `candidates` as from
    `lesions.duplicates.descriptors.find_candidates`.
    """

    def align(pair) -> float:
        fixed, moving = images[pair.fixed], images[pair.moving]
        return aligned_similarity(
            fixed, moving, zoom=pair.zoom, flip=pair.flip, rotation=pair.rotation
        )

    pairs = list(candidates.itertuples())
    return np.array(map_in_threads(align, pairs, desc="align", unit="pair"), dtype=float)


def aligned_similarity(
    fixed: np.ndarray, moving: np.ndarray, *, zoom: float, flip: bool, rotation: int
) -> float:
    """Align `moving` with `fixed` and return the correlation where their discs overlap.

    Starting at the given zoom, flip and rotation, an affine transform is found that maximises the
    enhanced correlation coefficient (Evangelidis, Psarakis, IEEE Trans Pattern Anal Mach Intell
    30:1858, 2008). It is reduced to the nearest similarity transform (uniform scale, rotation,
    translation), because under a stretch along one axis any dark oval matches any other.

    Parameters
    ----------
    fixed, moving
        uint8 `(side, side, 3)`, RGB.
    zoom, flip, rotation
        Initial alignment, see `lesions.duplicates.descriptors.find_candidates`.

    Returns
    -------
    float
        Normalised cross-correlation over pixels and channels, in [-1, 1]. The mean of each channel
        is subtracted, which makes exposure and white balance matter little. 0 if a photograph has
        one colour only, -1 if the overlap is below `MIN_OVERLAP`.
    """
    moving = moving[::-1] if flip else moving
    side = fixed.shape[0]
    angle = -2 * np.pi * rotation / N_ANGLES
    initial = _similarity_transform(np.cos(angle) / zoom, np.sin(angle) / zoom, side)
    refined = _nearest_similarity_transform(_refine(fixed, moving, initial), side)
    blurred = [cv2.GaussianBlur(np.float32(image), (0, 0), BLUR_SIGMA) for image in (fixed, moving)]
    # The refinement can diverge on a faint lesion; the initial alignment may then fit better.
    return max(_overlap_correlation(*blurred, transform) for transform in (initial, refined))


def _overlap_correlation(fixed, moving, transform):
    """Return the correlation on the overlap of the discs; `transform` maps fixed to moving."""
    shape = fixed.shape[:2]
    y, x = np.indices(shape) - (shape[0] - 1) / 2
    disc = (x**2 + y**2 <= (RADIUS * shape[0] / 2) ** 2).astype(np.uint8)
    warped = cv2.warpAffine(disc, transform, shape, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    overlap = (disc & warped) > 0
    if overlap.sum() < MIN_OVERLAP * disc.sum():
        return -1.0
    moved = cv2.warpAffine(moving, transform, shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    pixels = (image[overlap].astype(float) for image in (fixed, moved))
    first, second = (values - values.mean(axis=0) for values in pixels)
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / norm) if norm > 1 else 0.0


def _similarity_transform(cosine, sine, side, shift=(0.0, 0.0)):
    """Return the 2 × 3 matrix that rotates and scales about the centre, then shifts."""
    centre = np.full(2, (side - 1) / 2)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, centre - linear @ centre + shift]).astype(np.float32)


def _refine(fixed, moving, initial):
    """Return the refined affine transform, or the initial one if the refinement fails."""
    grey = [cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2GRAY) for x in (fixed, moving)]
    if min(image.std() for image in grey) < 1:
        return initial
    try:
        _, affine = cv2.findTransformECC(
            *grey, initial.copy(), cv2.MOTION_AFFINE, CRITERIA, None, FILTER_SIZE
        )
    except cv2.error:  # no convergence: the photographs are too different
        return initial
    return affine if np.isfinite(affine).all() else initial


def _nearest_similarity_transform(affine, side):
    """Return the nearest similarity transform that maps the centre to the same point."""
    cosine = (affine[0, 0] + affine[1, 1]) / 2
    sine = (affine[1, 0] - affine[0, 1]) / 2
    centre = np.full(2, (side - 1) / 2)
    shift = affine[:, :2] @ centre + affine[:, 2] - centre
    return _similarity_transform(cosine, sine, side, shift)
