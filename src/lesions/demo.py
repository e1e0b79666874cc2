"""Synthetic dermatoscopy: invented lesions, drawn as the seven diagnoses are described.

Nothing here comes from a photograph. A lesion is a stack of pigment maps in its own coordinates;
light passes through them after Beer and Lambert, and a photograph is one view of the result.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from lesions import cores
from lesions.camera import take_photograph
from lesions.cohort import LESION, make_cohort
from lesions.drawing import draw_lesion
from lesions.taxonomy import CODES, METADATA, PARTS

JPEG_QUALITY = 90
Seed = int | Sequence[int]


def draw_photograph(
    dx: str, *, lesion_seed: Seed, photo_seed: Seed, height: int = 450, width: int = 600
) -> np.ndarray:
    """Draw one dermatoscopic photograph of an invented lesion.

    Parameters
    ----------
    dx : str
        HAM10000's code of the diagnosis.
    lesion_seed : int or sequence of int
        The same seed is the same lesion on the same skin.
    photo_seed : int or sequence of int
        Moves zoom, rotation, flip, position, light, white balance, hairs and other artefacts.
    height, width : int
        Size in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 `(height, width, 3)`, RGB.

    Raises
    ------
    ValueError
        If `dx` is none of the seven codes.
    """
    if dx not in CODES:
        raise ValueError(f"dx must be one of {', '.join(CODES)}; found {dx!r}.")
    lesion = draw_lesion(dx, np.random.default_rng(lesion_seed))
    return take_photograph(lesion, np.random.default_rng(photo_seed), height=height, width=width)


def write_demo(
    folder: Path, *, n_images: int, seed: int, n_workers: int | None = None
) -> pd.DataFrame:
    """Write an invented cohort, metadata and photographs, in HAM10000's own layout.

    Parameters
    ----------
    folder : pathlib.Path
        Made if missing; receives `HAM10000_metadata.csv`, `HAM10000_images_part_1/` and
        `HAM10000_images_part_2/` with JPEG files of 600 × 450 pixels. What a broken run left
        under these three names is deleted first; other files there stay.
    n_images : int
        Photographs, at least 56.
    seed : int
        The same seed gives the same bytes, whatever the number of workers.
    n_workers : int, optional
        Threads that draw; as many as `lesions.cores.n_workers` says if not given.

    Returns
    -------
    pandas.DataFrame
        `(n_images, 7)`, the table of `lesions.cohort.make_cohort`.
    """
    cohort = make_cohort(n_images, seed=seed)
    _remove_leftovers(folder)
    parts = [folder / part for part in PARTS]
    for part in parts:
        part.mkdir(parents=True)
    cohort.to_csv(folder / METADATA, index=False)
    second = set(cohort["image_id"].iloc[(n_images + 1) // 2 :])

    def write(lesion) -> int:
        lesion_id, photos = lesion
        number = int(lesion_id.removeprefix(LESION))
        canvas = draw_lesion(photos["dx"].iloc[0], np.random.default_rng([seed, 1, number]))
        for photo, image_id in enumerate(photos["image_id"], start=1):
            rng = np.random.default_rng([seed, 2, number, photo])
            image = take_photograph(canvas, rng, height=450, width=600)
            _write_jpeg(image, parts[image_id in second] / f"{image_id}.jpg")
        return len(photos)

    _run_in_threads(write, cohort.groupby("lesion_id"), n_images=n_images, n_workers=n_workers)
    return cohort


def _remove_leftovers(folder):
    """Delete what an earlier run left under the names to be written; of a link, only the link."""
    for path in [folder / name for name in (METADATA, *PARTS)]:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


def _write_jpeg(image, path):
    """Write an RGB image."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    path.write_bytes(jpeg.tobytes())


def _run_in_threads(write, lesions, *, n_images, n_workers):
    """Write every lesion's photographs, under a progress bar; OpenCV has one thread meanwhile."""
    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # our own threads share the processors, OpenCV's would fight over them
    try:
        with ThreadPoolExecutor(n_workers or cores.n_workers()) as workers:
            done = workers.map(write, lesions)
            with tqdm(total=n_images, desc="drawing", unit="photo", disable=None) as bar:
                for n_drawn in done:
                    bar.update(n_drawn)
    finally:
        cv2.setNumThreads(n_threads)
