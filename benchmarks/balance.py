"""ADASYN as a mixing matrix beside imbalanced-learn's on the pixels, by image size.

The notebook flattens every training image to float32 and calls `ADASYN().fit_resample`, so that all
resampled pixels are in memory. Ours searches the uint8 images in their file and mixes one batch of
8 images, as training does batch by batch. Both read the same file in new processes. Labels must be
identical, and the pixels of sampled rows are compared. The images are generated, with HAM10000's
class sizes.

If the free memory is less than the notebook needs, only ours is run, and the notebook's memory is
computed. `python benchmarks/balance.py` takes some minutes; `--pixels 32 --images 400` is a test.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import notebook
import numpy as np
import psutil
from side_by_side import call_in_process, compare, measure_in_process, write_results

from lesions.datasets.ham10000 import CODES
from lesions.sampling.mixing import load_mixing, mix, save_mixing
from lesions.sampling.oversample import oversample

# Four fifths of each class of HAM10000: akiec, bcc, bkl, df, mel, nv, vasc.
COUNTS = np.array([262, 411, 879, 92, 890, 5364, 114])
SEED = 42
BATCH = 8
N_SAMPLED = 64  # rows whose pixels are compared
GB = 1024**3


def main():
    """Measure both at every size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", nargs="+", type=int, default=[32, 64, 128, 224])
    parser.add_argument("--images", type=int, default=int(COUNTS.sum()))
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for pixels in options.pixels:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            call_in_process(generate_images, folder, options.images, pixels)
            rows.append(measure_size(folder, pixels, options.pairs))
    write_results("balance", rows, settings=vars(options) | {"seed": SEED, "batch": BATCH})


def measure_size(folder, pixels, n_pairs):
    """Return a line of the table for the images in a folder."""
    peaks = {run_ours: [], run_notebook: []}

    def run(function):
        seconds, peak = measure_in_process(function, folder)
        peaks[function].append(peak)
        return seconds

    line = {"pixels": pixels, "notebook, s": "not run", "ours, s": run(run_ours), "ratio": ""}
    needed = bytes_of_notebook(folder)
    if needed < psutil.virtual_memory().available:
        found = compare(lambda: run(run_ours), lambda: run(run_notebook), n_pairs=n_pairs)
        line |= {"notebook, s": found["reference"], "ours, s": found["ours"]}
        line |= {"ratio": found["ratio"]}
    was_run = bool(peaks[run_notebook])
    peak = max(peaks[run_notebook], default=needed / GB)
    return line | {
        "notebook, GB": peak if was_run else f"{peak:.3g} (computed)",
        "ours, GB": max(peaks[run_ours]),
        "ratio of memory": peak / max(peaks[run_ours]),
        "largest difference, of 255": call_in_process(compare_pixels, folder) if was_run else "",
    }


def run_ours(folder):
    """Make the mixing matrix from the uint8 images in their file, and mix one batch."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    mixing, resampled = oversample(
        images,
        np.arange(len(labels)),
        labels,
        method="adasyn",
        n_neighbors=5,
        seed=SEED,
        codes=CODES,
    )
    mix(mixing[-BATCH:], images)
    save_mixing(folder / "ours.npz", mixing, resampled)


def run_notebook(folder):
    """Resample the pixels with imbalanced-learn."""
    labels = np.load(folder / "labels.npy")
    pixels, resampled = notebook.resample(np.load(folder / "images.npy"), labels, seed=SEED)
    np.savez(folder / "notebook.npz", pixels=pixels[sample(len(pixels))], labels=resampled)


def compare_pixels(folder):
    """Return the largest difference between sampled pixels; labels must be equal."""
    mixing, labels = load_mixing(folder / "ours.npz")
    with np.load(folder / "notebook.npz") as expected:
        np.testing.assert_array_equal(labels, expected["labels"])
        images = np.load(folder / "images.npy", mmap_mode="r")
        mixed = mix(mixing[sample(len(labels))], images)
        return float(np.abs(mixed - expected["pixels"]).max())


def sample(n_rows):
    """Return evenly spaced rows, from the first real image to the last mixed one."""
    return np.linspace(0, n_rows - 1, N_SAMPLED).astype(int)


def bytes_of_notebook(folder):
    """Return the bytes of the pixels, the new pixels, and both stacked."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    n_resampled = load_mixing(folder / "ours.npz")[0].shape[0]
    return 4 * images[0].size * (len(images) + 2 * n_resampled)


def generate_images(folder, n_images, pixels):
    """Write smooth images, uint8 `(n_images, pixels, pixels, 3)`, of overlapping classes."""
    rng = np.random.default_rng(0)
    counts = np.maximum(COUNTS * n_images // COUNTS.sum(), 8)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    np.save(folder / "labels.npy", labels)
    shape = (len(labels), pixels, pixels, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=shape)
    for image, label in zip(images, labels, strict=True):
        colours = rng.normal(100 + 10 * label, 40, (5, 5, 3)).clip(0, 255).astype(np.uint8)
        image[:] = cv2.resize(colours, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    images.flush()


if __name__ == "__main__":
    main()
