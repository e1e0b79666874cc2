"""Photographs that may show one lesion: descriptors that rotation and flip do not change.

A photograph is read on rings around its middle, so that a rotation is a shift along the rings and a
flip a reversal (Reddy, Chatterji, IEEE Trans Image Process 5:1266, 1996, for the principle). What a
Fourier transform along the rings keeps in its magnitudes changes with neither. A zoom is met by
asking once for every step of `ZOOMS`.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from lesions.search import nearest_search

ZOOMS = (1.0, 1.12, 1.25, 1.4, 1.57, 1.76, 1.97)  # steps of 12 %; HAM10000 has lesions taken twice
N_RINGS = 10
N_ANGLES = 64
N_HARMONICS = 16
REACH = 0.95  # of half the side; rings do not touch the border, where resizing blurs
N_COMPONENTS = 64
CHUNK = 2000  # photographs asked for at a time; bounds the memory, whatever their number


class Candidates(NamedTuple):
    """Pairs that may show one lesion, and how the second lies on the first; arrays of one length.

    The middle of photograph `moving`, enlarged by `zoom`, flipped upside down where `flip`, and
    turned by `turn` of the `N_ANGLES` steps of a circle, looks like photograph `fixed`.
    """

    fixed: np.ndarray
    moving: np.ndarray
    zoom: np.ndarray
    flip: np.ndarray
    turn: np.ndarray


def ring_spectra(images: np.ndarray, *, zoom: float = 1.0) -> np.ndarray:
    """Give the Fourier transform along rings around the middle of every photograph.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`.
    zoom
        How much the middle is enlarged first, at least 1.

    Returns
    -------
    ndarray
        complex64 `(n_images, 3, N_RINGS, N_HARMONICS)`; each colour has mean 0 over the disc and
        each photograph the norm 1 (0 if it has one colour only), so that the sum of products of
        two is their correlation over the disc.
    """
    n_images, side = images.shape[:2]
    radii = (np.arange(N_RINGS) + 0.5) / N_RINGS * REACH * side / 2 / zoom
    sampler = _ring_sampler(side, radii)
    pixels = images.reshape(n_images, side * side, 3).astype(np.float32)
    rings = np.stack([sampler.dot(pixels[..., colour].T).T for colour in range(3)], axis=1)
    rings = rings.reshape(n_images, 3, N_RINGS, N_ANGLES)
    area = (radii / radii.sum() / N_ANGLES).astype(np.float32)[:, None]
    rings -= (rings * area).sum(axis=(2, 3), keepdims=True)
    rings *= np.sqrt(area)
    norms = np.sqrt((rings**2).sum(axis=(1, 2, 3), keepdims=True))
    rings /= np.where(norms > 0.1, norms, np.inf)  # less is rounding, of 255 grey levels
    return np.fft.rfft(rings, axis=-1)[..., :N_HARMONICS].astype(np.complex64)


def find_candidates(images: np.ndarray, *, n_neighbors: int, search: str = "exact") -> Candidates:
    """Find for every photograph those that look most like it, turned, flipped and zoomed.

    For each of `ZOOMS` the `n_neighbors` nearest by the cosine of the descriptors are found, of
    which the `n_neighbors` with the highest correlation over the disc are kept. The time of an
    exact search grows with the square of the number of photographs, the memory in proportion to it.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`.
    n_neighbors
        At most so many for each photograph; fewer photographs give fewer.
    search
        `exact` or `approximate`, see `lesions.search`.

    Returns
    -------
    Candidates
        Of at most `n_images * n_neighbors`; a pair may stand in either order, or in both.
    """
    n_neighbors = min(n_neighbors, len(images) - 1)
    if n_neighbors < 1:
        return Candidates(*np.zeros((5, 0), int))
    starts = range(0, len(images), CHUNK)
    chunks = [images[start : start + CHUNK] for start in starts]
    spectra = np.concatenate([ring_spectra(chunk) for chunk in chunks])
    mean, components = _principal_components(spectra)
    described = [_describe(part, mean, components) for part in _chunks(spectra)]
    find = nearest_search(np.concatenate(described), n_nearest=n_neighbors + 1, search=search)
    found = []
    for start, chunk in zip(starts, chunks, strict=True):
        asked = []
        for zoom in ZOOMS:
            moving = ring_spectra(chunk, zoom=zoom)
            nearest = find(_describe(moving, mean, components))
            itself = start + np.arange(len(chunk))[:, None]
            nearest = np.where(nearest < 0, itself, nearest)  # none found: itself, which is no pair
            asked.append((nearest, *_correlate(spectra, nearest, moving)))
        found.append(_keep_best(start, n_neighbors, *map(np.hstack, zip(*asked, strict=True))))
    return Candidates(*map(np.concatenate, zip(*found, strict=True)))


def _ring_sampler(side, radii):
    """Give the sparse matrix that reads a photograph's pixels on the rings, bilinearly."""
    angles = 2 * np.pi * np.arange(N_ANGLES) / N_ANGLES
    middle = (side - 1) / 2
    y = (middle + radii[:, None] * np.sin(angles)).clip(0, side - 1).ravel()
    x = (middle + radii[:, None] * np.cos(angles)).clip(0, side - 1).ravel()
    top = np.minimum(y.astype(int), side - 2)
    left = np.minimum(x.astype(int), side - 2)
    down, right = y - top, x - left
    corner = top * side + left
    columns = np.concatenate([corner, corner + 1, corner + side, corner + side + 1])
    up, away = 1 - down, 1 - right
    weights = np.concatenate([up * away, up * right, down * away, down * right])
    rows = np.tile(np.arange(y.size), 4)
    shape = (y.size, side * side)
    return sparse.csr_matrix((weights.astype(np.float32), (rows, columns)), shape=shape)


def _chunks(array):
    return [array[start : start + CHUNK] for start in range(0, len(array), CHUNK)]


def _magnitudes(spectra):
    """Give the square roots of the magnitudes: the loud first harmonics would drown the others."""
    return np.sqrt(np.abs(spectra)).reshape(len(spectra), -1)


def _principal_components(spectra):
    """Give the mean and the `N_COMPONENTS` directions in which the magnitudes differ most."""
    total, products = 0, 0
    for part in _chunks(spectra):
        values = _magnitudes(part).astype(np.float64)
        total, products = total + values.sum(axis=0), products + values.T @ values
    mean = total / len(spectra)
    _, vectors = np.linalg.eigh(products / len(spectra) - np.outer(mean, mean))
    return mean, vectors[:, ::-1][:, :N_COMPONENTS]


def _describe(spectra, mean, components):
    """Give descriptors of norm 1, float32: their distances order them as their cosines do."""
    values = (_magnitudes(spectra) - mean) @ components
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.maximum(norms, 1e-12)).astype(np.float32)


def _correlate(spectra, nearest, moving):
    """Give value, zoomed-to flip and turn of the best fit of `moving` on each of its `nearest`."""
    values = np.empty(nearest.shape, np.float32)
    flips, turns = np.empty(nearest.shape, bool), np.empty(nearest.shape, int)
    for column, fixed in enumerate(nearest.T):
        parts = spectra[fixed]
        as_is = np.einsum("ncrh,ncrh->nh", parts, moving.conj())
        flipped = np.einsum("ncrh,ncrh->nh", parts, moving)
        curves = np.fft.irfft(np.hstack([as_is[:, None], flipped[:, None]]), n=N_ANGLES, axis=-1)
        best = curves.reshape(len(fixed), -1).argmax(axis=1)
        values[:, column] = curves.reshape(len(fixed), -1)[np.arange(len(fixed)), best]
        flips[:, column], turns[:, column] = best >= N_ANGLES, best % N_ANGLES
    return values, flips, turns


def _keep_best(start, n_neighbors, nearest, values, flips, turns):
    """Keep for each photograph its best fits on different others; give them as `Candidates`."""
    zooms = np.repeat(ZOOMS, nearest.shape[1] // len(ZOOMS))
    found = []
    for row in range(len(nearest)):
        order = np.argsort(-values[row], kind="stable")
        _, first = np.unique(nearest[row, order], return_index=True)
        order = order[np.sort(first)]
        order = order[nearest[row, order] != start + row][:n_neighbors]
        moving = np.full(len(order), start + row)
        found.append(
            (nearest[row, order], moving, zooms[order], flips[row, order], turns[row, order])
        )
    return tuple(map(np.concatenate, zip(*found, strict=True)))
