"""How much the size of stored photographs changes what a network sees.

Photographs that are at hand twice, as originals and as smaller copies, are both resized as stage
`resize` does. Printed are the differences of their pixels, and, of a trained model, how often it
predicts another class and how far its probabilities move.

`python benchmarks/copies.py --originals FOLDER --copies FOLDER` takes seconds.
"""

import argparse
from pathlib import Path

import numpy as np
from side_by_side import write_results

from lesions.imaging.images import INTERPOLATIONS, resize_images
from lesions.networks.saving import load_network


def main():
    """Compare photographs of the same names in two folders, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--originals", type=Path, required=True, help="searched with its folders")
    parser.add_argument("--copies", type=Path, required=True, help="searched with its folders")
    parser.add_argument("--pixels", type=int, default=32)
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="linear")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help=".keras files")
    options = parser.parse_args()
    originals, copies = find_pairs(options.originals, options.copies)
    resized = [
        resize(paths, options.pixels, options.interpolation) for paths in (originals, copies)
    ]
    row = {"photographs": len(originals)} | compare_pixels(*resized)
    rows = [row | compare_predictions(file, *resized) for file in options.models] or [row]
    settings = {"pixels": options.pixels, "interpolation": options.interpolation}
    write_results("copies", rows, settings=settings)


def find_pairs(originals: Path, copies: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of the originals that have a copy, and the copies, in the same order."""
    copy_of = {path.stem: path for path in copies.rglob("*.jpg")}
    found = sorted(path for path in originals.rglob("*.jpg") if path.stem in copy_of)
    if not found:
        raise SystemExit(f"No photograph in {originals} has a copy of its name in {copies}")
    return found, [copy_of[path.stem] for path in found]


def resize(paths, pixels, interpolation):
    """Return whole photographs, resized."""
    images = np.empty((len(paths), pixels, pixels, 3), np.uint8)
    resize_images(paths, images, pixels=pixels, interpolation=interpolation, crop="none")
    return images


def compare_pixels(originals, copies):
    """Return mean absolute difference in grey levels of 255, and the mean correlation."""
    a, b = (images.reshape(len(images), -1).astype(np.float64) for images in (originals, copies))
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(a, b, strict=True)]
    return {
        "mean difference": round(float(np.abs(a - b).mean()), 2),
        "largest mean of a photograph": round(float(np.abs(a - b).mean(axis=1).max()), 2),
        "mean correlation": round(float(np.mean(correlations)), 4),
    }


def compare_predictions(file, originals, copies):
    """Return how many predicted classes differ, and the mean total variation distance."""
    network = load_network(file)
    a, b = (network.predict(x.astype(np.float32), verbose=0) for x in (originals, copies))
    return {
        "model": file.stem,
        "other class": int((a.argmax(axis=1) != b.argmax(axis=1)).sum()),
        "total variation": round(float(np.abs(a - b).sum(axis=1).mean() / 2), 3),
    }


if __name__ == "__main__":
    main()
