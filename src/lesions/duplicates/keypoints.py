"""Details of two photographs that match under one rotation, scale and shift.

Keypoints and descriptors are SIFT's (Lowe, Int J Comput Vis 60:91, 2004), compared by the square
roots of their entries (Arandjelović, Zisserman, CVPR 2012). Skin has thousands of details, but few
of them agree on one transform unless the photographs show the same skin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lesions.imaging.images import read_image
from lesions.imaging.threads import map_in_threads

LENGTH = 300  # px, of the longer side of a photograph
N_KEYPOINTS = 300  # a photograph, those of the highest contrast
CONTRAST = 0.01  # lowest; dermatoscopy is faint, and the default of 0.04 leaves a few dozen
RATIO = 0.85  # of the distances to the nearest and the second nearest keypoint, at most
TOLERANCE = 4.0  # px, between a keypoint and where the transform puts its match
SCALES = (0.4, 2.5)  # of one photograph in the other
N_TRIALS = 500  # of RANSAC, which starts from the same random numbers for every pair


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of a photograph: `points`, float32 `(n, 2)`, and their descriptors, uint8."""

    points: np.ndarray
    descriptors: np.ndarray


def read_keypoints(files: Sequence[Path]) -> list[Keypoints]:
    """Return the keypoints of every photograph."""
    return map_in_threads(lambda file: find_keypoints(read_image(file)), files, desc="keypoints")


def find_keypoints(image: np.ndarray) -> Keypoints:
    """Return the keypoints of a photograph, uint8 RGB `(height, width, 3)`, at most 300 px long."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = LENGTH / max(grey.shape)
    shape = [max(1, round(scale * side)) for side in reversed(grey.shape)]
    grey = cv2.resize(grey, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    # SIFT returns more than it is asked for if the last ones are equally strong.
    sift = cv2.SIFT_create(nfeatures=N_KEYPOINTS, contrastThreshold=CONTRAST)
    found, descriptors = sift.detectAndCompute(grey, None)
    points = np.array([keypoint.pt for keypoint in found], np.float32).reshape(-1, 2)
    if descriptors is None:
        descriptors = np.empty((0, sift.descriptorSize()))
    return Keypoints(points, descriptors.astype(np.uint8))


def count_matches(keypoints: Sequence[Keypoints], pairs: pd.DataFrame) -> np.ndarray:
    """Return the number of matches of every pair (`row`, `other_row`), int `(n_pairs,)`."""

    def count(pair) -> int:
        return _count_matches(keypoints[pair.row], keypoints[pair.other_row])

    return np.array(map_in_threads(count, list(pairs.itertuples()), desc="match", unit="pair"), int)


def _count_matches(first: Keypoints, second: Keypoints) -> int:
    """Return how many keypoints match under the similarity transform that most of them fit."""
    nearest = _match(first.descriptors, second.descriptors)
    matched = np.flatnonzero(nearest >= 0)
    if len(matched) < 3:  # two always fit
        return 0
    ends = first.points[matched], second.points[nearest[matched]]
    transform, fits = cv2.estimateAffinePartial2D(
        *ends, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE, maxIters=N_TRIALS
    )
    if transform is None or not SCALES[0] < np.hypot(*transform[:, 0]) < SCALES[1]:
        return 0
    return int(fits.sum())


def _match(first, second):
    """Return for each descriptor of `first` the row of its match in `second`, or -1.

    Two match if each is the other's nearest, and the second nearest is clearly farther away.
    """
    if not len(first) or len(second) < 2:
        return np.full(len(first), -1)
    products = _normalize(first) @ _normalize(second).T  # the distance is √(2 - 2 product)
    rows, nearest = np.arange(len(first)), products.argmax(axis=1)
    best = products[rows, nearest]
    mutual = best == products.max(axis=0)[nearest]
    products[rows, nearest] = -1
    clear = 1 - best < RATIO**2 * (1 - products.max(axis=1))
    return np.where(mutual & clear, nearest, -1)


def _normalize(descriptors):
    """Return the square roots of descriptors, with norm 1."""
    values = descriptors.astype(np.float32)
    return np.sqrt(values / values.sum(axis=1, keepdims=True).clip(1))
