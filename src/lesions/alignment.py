"""How alike two photographs are once one is laid on the other."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from lesions.descriptors import N_ANGLES, REACH, Candidates

LEAST_OVERLAP = 0.5  # of the disc; less is no evidence
STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
SMOOTHING = 3  # px, of the search's Gaussian filter
BLUR = 0.8  # px, before the comparison: what resampling alone changes is finer
CHUNK = 1000


def align_candidates(images: np.ndarray, candidates: Candidates, *, n_workers: int) -> np.ndarray:
    """Give the similarity of every candidate pair, aligned; see `similarity_of_aligned`.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`, RGB.
    candidates
        Pairs of rows of `images`.
    n_workers
        Threads; the result does not depend on their number.

    Returns
    -------
    ndarray
        float64 `(n_candidates,)`, in [-1, 1].
    """

    def align(start: int) -> list[float]:
        rows = zip(*(part[start : start + CHUNK] for part in candidates), strict=True)
        return [
            similarity_of_aligned(
                images[fixed], images[moving], zoom=zoom, flip=bool(flip), turn=int(turn)
            )
            for fixed, moving, zoom, flip, turn in rows
        ]

    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # our own threads share the processors
    try:
        with ThreadPoolExecutor(n_workers) as workers:
            chunks = list(workers.map(align, range(0, len(candidates.fixed), CHUNK)))
    finally:
        cv2.setNumThreads(n_threads)
    return np.array([value for chunk in chunks for value in chunk], dtype=float)


def similarity_of_aligned(
    fixed: np.ndarray, moving: np.ndarray, *, zoom: float, flip: bool, turn: int
) -> float:
    """Give the correlation of the discs in two photographs where they overlap, once laid together.

    From the given zoom, flip and turn on, the alignment is refined by maximising the enhanced
    correlation coefficient over affine maps (Evangelidis, Psarakis, IEEE Trans Pattern Anal Mach
    Intell 30:1858, 2008), and brought back to the nearest similarity (one scale, a rotation, a
    shift): stretched in one direction, any dark oval fits any other.

    Parameters
    ----------
    fixed, moving
        uint8 `(side, side, 3)`, RGB.
    zoom, flip, turn
        The start, as in `Candidates`.

    Returns
    -------
    float
        In [-1, 1]: the normalised cross-correlation over pixels and colours, each colour's mean
        taken out, so that exposure and white balance count little. 0 if a photograph has one
        colour only, -1 if less than `LEAST_OVERLAP` is common.
    """
    moving = moving[::-1] if flip else moving
    angle = -2 * np.pi * turn / N_ANGLES
    start = _around_the_middle(np.cos(angle) / zoom, np.sin(angle) / zoom, fixed.shape[0])
    found = _nearest_similarity(_refine(fixed, moving, start), fixed.shape[0])
    fixed, moving = (cv2.GaussianBlur(np.float32(image), (0, 0), BLUR) for image in (fixed, moving))
    # The search can go astray on a faint lesion: then the start may fit better.
    return max(_similarity_laid(fixed, moving, where) for where in (start, found))


def _similarity_laid(fixed, moving, where):
    """Give the correlation on the discs' overlap, `where` mapping fixed to moving."""
    side = fixed.shape[:2]
    disc = _disc(side[0])
    moved = cv2.warpAffine(disc, where, side, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    common = (disc & moved) > 0
    if common.sum() < LEAST_OVERLAP * disc.sum():
        return -1.0
    laid = cv2.warpAffine(moving, where, side, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return _correlation(fixed[common].astype(float), laid[common].astype(float))


def _disc(side):
    """Give 1 on the disc that a rotation brings onto itself, uint8: corners hold other skin."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    return (x**2 + y**2 <= (REACH * side / 2) ** 2).astype(np.uint8)


def _around_the_middle(cosine, sine, side, shift=(0.0, 0.0)):
    """Give the 2 × 3 matrix that turns and scales about the middle, then shifts it."""
    middle = np.full(2, (side - 1) / 2)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, middle - linear @ middle + shift]).astype(np.float32)


def _refine(fixed, moving, start):
    """Give the refined affine map, or the start where the search finds none."""
    grey = [cv2.cvtColor(np.ascontiguousarray(one), cv2.COLOR_RGB2GRAY) for one in (fixed, moving)]
    if min(one.std() for one in grey) < 1:
        return start
    try:
        _, found = cv2.findTransformECC(
            *grey, start.copy(), cv2.MOTION_AFFINE, STOP, None, SMOOTHING
        )
    except cv2.error:  # it did not converge: the photographs are too different
        return start
    return found if np.isfinite(found).all() else start


def _nearest_similarity(affine, side):
    """Give the similarity nearest to an affine map, the middle going where it went."""
    cosine = (affine[0, 0] + affine[1, 1]) / 2
    sine = (affine[1, 0] - affine[0, 1]) / 2
    middle = np.full(2, (side - 1) / 2)
    shift = affine[:, :2] @ middle + affine[:, 2] - middle
    return _around_the_middle(cosine, sine, side, shift)


def _correlation(first, second):
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / norm) if norm > 1 else 0.0
