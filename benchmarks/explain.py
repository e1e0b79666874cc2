"""Where an exported model looks, measured against masks of the lesions, and what it sees without.

On the study's validation photographs. Printed: the share of the evidence for the predicted class
that lies in the lesion, and whether its largest value does, for class maps and for maps that know
nothing of the network; then scores on photographs whose lesion, or all but the lesion, is painted
out. Intervals: bootstrap over groups, within each diagnosis. `python benchmarks/explain.py NAME
MASKS`, in a repository whose study exports the model NAME; MASKS is a folder of lesion masks,
`<image_id>_segmentation.png`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from out_of_distribution import RING, _read
from side_by_side import write_results

from lesions.evaluation.bootstrap import (
    BootstrapConfig,
    draw_weights,
    estimate,
    evaluate_resamples,
)
from lesions.evaluation.intervals import measure_resamples
from lesions.evaluation.metrics import weighted_means
from lesions.explain.localization import centred_gaussian, energy_inside, points_inside, uniform
from lesions.explain.maps import class_maps, evidence
from lesions.imaging.images import central_square
from lesions.inference.exported import BATCH_SIZE, ExportedModel

CONFIG = BootstrapConfig()
MEASURES = ("accuracy", "balanced_accuracy", "roc_auc_macro")


def main():
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("masks", type=Path)
    parser.add_argument("--study", type=Path, default=Path("data/sets/study"))
    options = parser.parse_args()
    model = ExportedModel(Path(f"exports/{options.name}.onnx"))
    tables = {
        n: pd.read_csv(options.study / f"{n}.csv") for n in ("labels", "groups", "partitions")
    }
    rows = np.flatnonzero(tables["partitions"]["partition"] == "val")
    labels = tables["labels"].iloc[rows]
    resize = model.facts["resize"]
    images = np.stack(
        [_read(options.study / "raw" / name, resize) for name in labels["image_path"]]
    )
    masks = np.stack([read_mask(options.masks, name, resize) for name in labels["image_id"]])
    actual, units = labels["label"].to_numpy(), tables["groups"]["group"].iloc[rows].to_numpy()
    weights = draw_weights(actual, units, n_resamples=CONFIG.n_resamples, seed=CONFIG.seed)
    settings = {"name": options.name, "n_images": len(images)}

    found = predict(model, images)
    batches = range(0, len(images), BATCH_SIZE)
    maps = np.concatenate([class_maps(model, images[s : s + BATCH_SIZE]) for s in batches])
    n, pixels = len(images), model.pixels
    kinds = {
        "class map of the predicted class": evidence(maps, found.argmax(axis=1), pixels=pixels),
        "class map of the diagnosis": evidence(maps, actual, pixels=pixels),
        "Gaussian in the centre": centred_gaussian(n, pixels=pixels),
        "the same everywhere": uniform(n, pixels=pixels),
    }
    energies = {kind: energy_inside(heat, masks) for kind, heat in kinds.items()}
    table = []
    for kind, heat in kinds.items():
        measured = {"energy in the lesion": energies[kind]}
        measured["above the Gaussian"] = energies[kind] - energies["Gaussian in the centre"]
        measured["largest value in the lesion"] = points_inside(heat, masks).astype(float)
        table.append({"map": kind} | {k: interval(v, weights) for k, v in measured.items()})
    write_results("explain", table, settings=settings)
    print()

    table = []
    for kind, pictures in paint(images, masks).items():
        measured = measure_resamples(actual, predict(model, pictures), weights, CONFIG)
        scores = {m: estimate(measured[m], confidence=CONFIG.confidence) for m in MEASURES}
        table.append({"photographs": kind} | {m: show(found) for m, found in scores.items()})
    write_results("shortcuts", table, settings=settings)


def read_mask(folder, image_id, resize):
    """Return a lesion's mask as the network sees it, bool `(pixels, pixels)`."""
    file = folder / f"{image_id}_segmentation.png"
    mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise SystemExit(f"{file} is missing, or no picture")
    mask = central_square(mask) if resize["crop"] == "square" else mask
    return cv2.resize(mask, (resize["pixels"],) * 2, interpolation=cv2.INTER_AREA) > 127


def predict(model, images):
    """Return calibrated probabilities, a batch at a time."""
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate([model.predict(images[s : s + BATCH_SIZE]).probabilities for s in starts])


def paint(images, masks):
    """Return the photographs, those without the lesion, and those with nothing else."""
    kinds = {"as they are": [], "without the lesion, mean of a ring": []}
    kinds |= {"without the lesion, inpainted": [], "only the lesion, mean of a ring": []}
    for image, mask in zip(images, masks, strict=True):
        wide = cv2.dilate(mask.astype(np.uint8), np.ones((RING, RING)))
        ring = wide.astype(bool) & ~mask
        colour = image[ring if ring.any() else np.ones_like(mask)].mean(axis=0)
        chosen = mask[..., None]
        pictures = (
            image,
            np.where(chosen, colour, image).astype(np.uint8),
            cv2.inpaint(image, wide, RING, cv2.INPAINT_TELEA),
            np.where(chosen, image, colour).astype(np.uint8),
        )
        for kind, picture in zip(kinds.values(), pictures, strict=True):
            kind.append(picture)
    return {name: np.stack(pictures) for name, pictures in kinds.items()}


def interval(values, weights):
    """Return the mean over the images that have a value, with its interval."""
    known = ~np.isnan(values)
    means = evaluate_resamples(
        lambda chunk: {"mean": weighted_means(values[known], chunk)}, weights[known]
    )
    return show(estimate(means["mean"], confidence=CONFIG.confidence))


def show(found):
    """Write an estimate."""
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


if __name__ == "__main__":
    main()
