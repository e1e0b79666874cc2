"""Descriptors that are invariant to rotation and flips, and the candidate pairs they yield.

A photograph is sampled on rings around its centre. There a rotation is a shift along the rings, and
a flip is a reversal (the principle: Reddy, Chatterji, IEEE Trans Image Process 5:1266, 1996). The
magnitudes of the Fourier transform along the rings change with neither. Zoom is covered by one
search for each of `ZOOMS`.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import normalize

from lesions.duplicates.search import build_search

ZOOMS = (1.0, 1.12, 1.25, 1.4, 1.57, 1.76, 1.97)  # HAM10000 repeats lesions at other magnifications
N_RINGS = 10
N_ANGLES = 64
N_HARMONICS = 16
RADIUS = 0.95  # of the disc, in half sides: the border of a resized photograph is blurred
N_COMPONENTS = 64
CHUNK = 2000  # photographs; bounds the memory


def ring_spectra(images: np.ndarray, *, zoom: float = 1.0) -> np.ndarray:
    """Return the Fourier transform along rings around the centre of every photograph.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`.
    zoom
        Enlargement of the centre before sampling, at least 1.

    Returns
    -------
    ndarray
        complex64 `(n_images, 3, N_RINGS, N_HARMONICS)`. Each channel has mean 0 over the disc and
        each photograph norm 1 (0 if it has one colour only), so the inner product of two
        photographs is their correlation over the disc.
    """
    n_images, side = images.shape[:2]
    radii = (np.arange(N_RINGS) + 0.5) / N_RINGS * RADIUS * side / 2 / zoom
    sampler = _ring_sampler(side, radii)
    pixels = images.reshape(n_images, side * side, 3).astype(np.float32)
    rings = np.stack([sampler.dot(pixels[..., channel].T).T for channel in range(3)], axis=1)
    rings = rings.reshape(n_images, 3, N_RINGS, N_ANGLES)
    area = (radii / radii.sum() / N_ANGLES).astype(np.float32)[:, None]
    rings -= (rings * area).sum(axis=(2, 3), keepdims=True)
    rings *= np.sqrt(area)
    norms = np.sqrt((rings**2).sum(axis=(1, 2, 3), keepdims=True))
    rings /= np.where(norms > 0.1, norms, np.inf)  # of 255 grey levels; less is rounding
    return np.fft.rfft(rings, axis=-1)[..., :N_HARMONICS].astype(np.complex64)


def find_candidates(images: np.ndarray, *, n_neighbors: int, search: str = "exact") -> pd.DataFrame:
    """Find the photographs that each one resembles most under rotation, flips and zoom.

    For each of `ZOOMS`, the `n_neighbors` nearest descriptors by cosine are found; of these, the
    `n_neighbors` with the highest correlation over the disc are kept. The time of an exact search
    grows with the square of the number of photographs, the memory in proportion to it.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`.
    n_neighbors
        Candidates for each photograph, or `n_images - 1` if that is less.
    search
        `exact` or `approximate`, see `lesions.duplicates.search`.

    Returns
    -------
    DataFrame
        `fixed`, `moving` (rows of `images`), `zoom`, `flip`, `rotation`. Photograph `moving`
        resembles `fixed` once its centre is enlarged by `zoom`, flipped upside down if `flip`, and
        rotated by `rotation` of the `N_ANGLES` steps of a circle. A pair may occur in either order,
        or in both.
    """
    n_neighbors = min(n_neighbors, len(images) - 1)
    if n_neighbors < 1:
        return pd.DataFrame(columns=["fixed", "moving", "zoom", "flip", "rotation"], dtype=int)
    spectra = np.concatenate([ring_spectra(chunk) for chunk in _chunks(images)])
    mean, components = _principal_components(spectra)
    descriptors = np.concatenate([_describe(chunk, mean, components) for chunk in _chunks(spectra)])
    find_nearest = build_search(descriptors, n_neighbors=n_neighbors + 1, search=search)
    candidates = []
    for queries in _chunks(np.arange(len(images))):
        fits = []
        for zoom in ZOOMS:
            moving = ring_spectra(images[queries], zoom=zoom)
            for nearest in find_nearest(_describe(moving, mean, components)).T:
                pairs = {"fixed": nearest, "moving": queries, "zoom": zoom}
                fits.append(pairs | _fit(spectra[nearest], moving))
        fits = pd.concat(map(pd.DataFrame, fits))
        fits = fits[(fits["fixed"] >= 0) & (fits["fixed"] != fits["moving"])]
        fits = fits.sort_values("correlation", ascending=False, kind="stable")
        fits = fits.drop_duplicates(["fixed", "moving"]).groupby("moving").head(n_neighbors)
        candidates.append(fits.drop(columns="correlation"))
    return pd.concat(candidates, ignore_index=True)


def _ring_sampler(side, radii):
    """Return the sparse matrix that samples pixels on the rings by bilinear interpolation."""
    angles = 2 * np.pi * np.arange(N_ANGLES) / N_ANGLES
    centre = (side - 1) / 2
    y = (centre + radii[:, None] * np.sin(angles)).clip(0, side - 1).reshape(-1, 1)
    x = (centre + radii[:, None] * np.cos(angles)).clip(0, side - 1).reshape(-1, 1)
    rows, columns = (np.maximum(1 - np.abs(axis - np.arange(side)), 0) for axis in (y, x))
    weights = rows[:, :, None] * columns[:, None, :]
    return sparse.csr_matrix(weights.reshape(-1, side * side).astype(np.float32))


def _chunks(array):
    return [array[start : start + CHUNK] for start in range(0, len(array), CHUNK)]


def _magnitudes(spectra):
    """Return square roots of the magnitudes: the first harmonics would dominate otherwise."""
    return np.sqrt(np.abs(spectra)).reshape(len(spectra), -1)


def _principal_components(spectra):
    """Return mean and first `N_COMPONENTS` principal components of the magnitudes."""
    total, products = 0, 0
    for chunk in _chunks(spectra):
        values = _magnitudes(chunk).astype(np.float64)
        total, products = total + values.sum(axis=0), products + values.T @ values
    mean = total / len(spectra)
    _, vectors = np.linalg.eigh(products / len(spectra) - np.outer(mean, mean))
    return mean, vectors[:, ::-1][:, :N_COMPONENTS]


def _describe(spectra, mean, components):
    """Return float32 descriptors of norm 1, so that Euclidean and cosine order agree."""
    return normalize((_magnitudes(spectra) - mean) @ components).astype(np.float32)


def _fit(fixed, moving):
    """Return the best fit of each `moving` to its `fixed`; the conjugate is the one not flipped."""
    products = [np.einsum("ncrh,ncrh->nh", fixed, one) for one in (moving.conj(), moving)]
    curves = np.fft.irfft(np.stack(products, axis=1), n=N_ANGLES).reshape(len(fixed), -1)
    best = curves.argmax(axis=1)
    correlation = curves.max(axis=1)
    return {"correlation": correlation, "flip": best >= N_ANGLES, "rotation": best % N_ANGLES}
