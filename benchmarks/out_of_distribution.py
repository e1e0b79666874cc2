"""What an exported model finds unlike its training photographs: pictures of other things, by kind.

Each kind is made of the study's validation photographs, drawn, or shipped with a package. Printed:
the share that is above the model's threshold, and the area under the ROC curve of the distance
against the validation photographs. `python benchmarks/out_of_distribution.py NAME`, in a
repository whose study exports the model NAME; `--masks` is a folder of lesion masks,
`<image_id>_segmentation.png`.
"""

import argparse
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import skimage
from side_by_side import write_results
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from lesions.imaging.images import central_square, read_image, resize_image
from lesions.inference.exported import BATCH_SIZE, ExportedModel

N_DRAWN = 200
RING = 9  # pixels around the lesion, whose mean colour paints it out


def main():
    """Measure every kind, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--study", type=Path, default=Path("data/sets/study"))
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--masks", type=Path)
    options = parser.parse_args()
    model = ExportedModel(options.exports / f"{options.name}.onnx")
    labels = pd.read_csv(options.study / "labels.csv")
    partitions = pd.read_csv(options.study / "partitions.csv")["partition"]
    val = labels[partitions == "val"]
    resize = model.facts["resize"]
    files = [options.study / "raw" / name for name in val["image_path"]]
    photographs = np.stack([_read(file, resize) for file in files])
    known = measure(model, photographs)
    rows = [{"pictures": "validation photographs", "n": len(known)} | score(known, known)]
    kinds = make_kinds(photographs, model.pixels)
    if options.masks:
        kinds |= paint(photographs, val["image_id"], options.masks, resize)
    for name, pictures in kinds.items():
        rows.append({"pictures": name, "n": len(pictures)} | score(measure(model, pictures), known))
    write_results("out_of_distribution", rows, settings={"name": options.name})


def make_kinds(photographs, pixels):
    """Return kind of picture to uint8 `(n, pixels, pixels, 3)`."""
    rng = np.random.default_rng(0)
    shape = (N_DRAWN, pixels, pixels, 3)
    few = photographs[:N_DRAWN]
    colours = rng.integers(0, 256, (2, N_DRAWN, 1, 1, 3))
    ramp = np.linspace(0, 1, pixels)[None, None, :, None]
    waves = rng.normal(0, 1, shape).astype(np.float32)
    waves = np.stack([cv2.GaussianBlur(image, (0, 0), pixels / 18) for image in waves])
    skin = few.mean(axis=(1, 2), keepdims=True)
    corners = few[:, : pixels // 4, : pixels // 4]
    kinds = {
        "noise, every pixel": rng.integers(0, 256, shape),
        "noise, smooth": 128 + 60 * waves / waves.std(),
        "one colour": np.broadcast_to(colours[0], shape),
        "one colour, that of a photograph": np.broadcast_to(skin, (len(few), *shape[1:])),
        "gradient of two colours": colours[0] + (colours[1] - colours[0]) * ramp,
        "photograph, inverted": 255 - few,
        "photograph, red and blue swapped": few[..., ::-1],
        "photograph, grey": np.repeat(few.mean(axis=3, keepdims=True), 3, axis=3),
        "photograph, blurred": [cv2.GaussianBlur(image, (0, 0), pixels / 18) for image in few],
        "photograph, corner of a quarter": [cv2.resize(c, (pixels, pixels)) for c in corners],
        "everyday pictures of two packages": everyday_pictures(pixels),
    }
    kinds = {name: np.clip(np.stack(list(images)), 0, 255) for name, images in kinds.items()}
    return {
        name: np.broadcast_to(v, (len(v), *shape[1:])).astype(np.uint8) for name, v in kinds.items()
    }


def everyday_pictures(pixels):
    """Return the pictures that scikit-learn and scikit-image ship, as central squares."""
    found = list(load_sample_images().images)
    folder = Path(skimage.__file__).parent / "data"
    for file in sorted(folder.glob("*")):
        image = (
            cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) if file.suffix in (".png", ".jpg") else None
        )
        if image is not None:
            found.append(image)
    settings = {"pixels": pixels, "interpolation": "area", "crop": "square"}
    return [resize_image(image, **settings) for image in found]


def paint(photographs, image_ids, masks, resize):
    """Return photographs without the lesion, and the lesion alone; the rest has one colour."""
    without, alone = [], []
    for image, image_id in zip(photographs, image_ids, strict=True):
        mask = cv2.imread(str(masks / f"{image_id}_segmentation.png"), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            continue
        mask = central_square(mask) if resize["crop"] == "square" else mask
        inside = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
        ring = cv2.dilate(inside.astype(np.uint8), np.ones((RING, RING))).astype(bool) & ~inside
        if ring.any() and inside.any():
            without.append(np.where(inside[..., None], image[ring].mean(axis=0), image))
            alone.append(np.where(inside[..., None], image, image[ring].mean(axis=0)))
    if not without:
        raise SystemExit(f"{masks} has no mask <image_id>_segmentation.png of a validation image")
    kinds = {"photograph, lesion painted out": without, "photograph, only the lesion": alone}
    return {name: np.stack(images).astype(np.uint8) for name, images in kinds.items()}


def measure(model, images):
    """Return the distance of each image, in units of the threshold."""
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate([model.predict(images[s : s + BATCH_SIZE]).distances for s in starts])


def score(distances, known):
    """Return what of the distances is above the threshold, and how well they are told apart."""
    is_other = np.repeat([0, 1], [len(known), len(distances)])
    area = roc_auc_score(is_other, np.concatenate([known, distances]))
    return {"found": f"{(distances > 1).mean():.2f}", "ROC AUC": f"{area:.2f}"}


def _read(file, resize):
    at_least = resize["pixels"] if resize["decode"] == "reduced" else None
    settings = {key: resize[key] for key in ("pixels", "interpolation", "crop")}
    return resize_image(read_image(file, at_least=at_least), **settings)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)
    main()
