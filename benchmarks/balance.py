"""ADASYN as a mixing matrix beside imbalanced-learn's on the pixels themselves, by image size.

`plain` is what a notebook does: every training image flattened to float32, then
`ADASYN().fit_resample`, which holds all resampled pixels at once. `ours` searches the uint8 images
where they lie on the disk, and mixes one batch of 8 images; training would go on to mix the others
batch by batch. Both read one file, start in a process of their own, and are compared: labels must
be identical, pixels of sampled rows equal. The images are invented, of HAM10000's class sizes.

Where the free memory does not hold what `plain` needs, it is not run, and its memory is computed.
`python benchmarks/balance.py` takes some minutes; `--sizes 32 --images 400` shows that it works.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import notebook
import numpy as np
from side_by_side import apart, compare, measure, report

from lesions.balance import mixing_matrix
from lesions.mixing import load_mixing, mix_rows, save_mixing

# Four fifths of each class of HAM10000: akiec, bcc, bkl, df, mel, nv, vasc.
COUNTS = np.array([262, 411, 879, 92, 890, 5364, 114])
SEED = 42
BATCH = 8
N_SAMPLED = 64  # rows whose pixels are compared
GB = 1024**3


def main():
    """Measure both ways at every size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64, 128, 224])
    parser.add_argument("--images", type=int, default=int(COUNTS.sum()))
    parser.add_argument("--pairs", type=int, default=3, help="plain and ours in turn, so often")
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            apart(invent, folder, options.images, size)
            rows.append(measure_size(folder, size, options.pairs))
    report("balance", rows, settings=vars(options) | {"seed": SEED, "batch": BATCH})


def measure_size(folder, size, n_pairs):
    """Give a line of the table for the images in a folder."""
    peaks = {ours: [], plain: []}

    def run(way):
        elapsed, peak = measure(way, folder)
        peaks[way].append(peak)
        return elapsed

    line = {"size, px": size, "plain, s": "not run", "ours, s": run(ours), "plain / ours": ""}
    needed = bytes_of_plain(folder)
    if needed < available_bytes():
        found = compare(lambda: run(ours), lambda: run(plain), n_pairs=n_pairs)
        line |= {"plain, s": found["other"], "ours, s": found["ours"]}
        line |= {"plain / ours": found["ratio"]}
    peak = max(peaks[plain], default=needed / GB)
    return line | {
        "plain, GB": peak if peaks[plain] else f"{needed / GB:.3g} (computed)",
        "ours, GB": max(peaks[ours]),
        "plain GB / ours GB": peak / max(peaks[ours]),
        "largest difference, of 255": apart(check, folder) if peaks[plain] else "",
    }


def ours(folder):
    """Search the neighbours on the disk's uint8 images, and mix one batch."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    train_rows = np.arange(len(labels))
    mixing, resampled = mixing_matrix(
        images, train_rows, labels, method="adasyn", n_neighbors=5, seed=SEED
    )
    mix_rows(mixing, images, np.arange(len(resampled) - BATCH, len(resampled)))
    save_mixing(folder / "ours.npz", mixing, resampled)


def plain(folder):
    """Let imbalanced-learn resample the pixels."""
    labels = np.load(folder / "labels.npy")
    pixels, resampled = notebook.resample(np.load(folder / "images.npy"), labels, seed=SEED)
    np.savez(folder / "plain.npz", pixels=pixels[sampled(len(pixels))], labels=resampled)


def check(folder):
    """Give the largest difference between the pixels of both ways; the labels must be equal."""
    mixing, labels = load_mixing(folder / "ours.npz")
    with np.load(folder / "plain.npz") as expected:
        np.testing.assert_array_equal(labels, expected["labels"])
        images = np.load(folder / "images.npy", mmap_mode="r")
        mixed = mix_rows(mixing, images, sampled(len(labels)))
        return float(np.abs(mixed - expected["pixels"]).max())


def sampled(n_rows):
    """Give the rows to compare: evenly spread, from the first real image to the last mixed one."""
    return np.linspace(0, n_rows - 1, N_SAMPLED).astype(int)


def bytes_of_plain(folder):
    """Give what plain holds at its end: its pixels, a copy with the new ones, and these stacked."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    n_resampled = load_mixing(folder / "ours.npz")[0].shape[0]
    return 4 * images[0].size * (len(images) + 2 * n_resampled)


def available_bytes():
    """Give the memory that a new process can have without swapping, as Linux estimates it."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def invent(folder, n_images, size):
    """Write smooth images, uint8 `(n_images, size, size, 3)`, and labels; the classes overlap."""
    rng = np.random.default_rng(0)
    counts = np.maximum(COUNTS * n_images // COUNTS.sum(), 8)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    np.save(folder / "labels.npy", labels)
    shape = (len(labels), size, size, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=shape)
    for image, label in zip(images, labels, strict=True):
        colours = rng.normal(100 + 10 * label, 40, (5, 5, 3)).clip(0, 255).astype(np.uint8)
        image[:] = cv2.resize(colours, (size, size), interpolation=cv2.INTER_CUBIC)
    images.flush()


if __name__ == "__main__":
    main()
