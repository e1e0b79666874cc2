"""Training dense layers on a frozen backbone: features once, beside `fit` through the backbone.

Ours runs the backbone once over the rows of the mixing matrix and trains the dense layers on its
features; `fit` is the notebook's: in every epoch, all resampled images pass through backbone and
dense layers. Both have the same images, backbone, initial weights and settings (params.yaml's, 20
epochs), and are timed from the images to the trained network, the compilation included. The mean
and variance that standardise features are measured by ours, and given to `fit`. Order of the rows
and dropout masks differ, as between two seeds, so that accuracy, on images that neither was trained
on, is compared over seeds.

Weights are random; images are generated, with colours that depend on the class. `python
benchmarks/frozen.py` takes about six minutes. The ratio grows with the number of rows towards that
of the epochs, 20, since the time of compilation does not depend on it.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import notebook
import numpy as np
from side_by_side import learn_as_stage_train, summarize, write_results

from lesions.datasets.ham10000 import CODES
from lesions.networks import load_build
from lesions.networks.applications import build_backbone
from lesions.networks.backend import configure_tensorflow, keras
from lesions.networks.layers import join
from lesions.sampling.mixing import mix
from lesions.sampling.oversample import oversample
from lesions.training.feature_extraction import extract_features
from lesions.training.loop import train

PIXELS, THREADS = 32, 2
BACKBONES = {  # network, pooling, and training images before they are resampled
    "vgg16": ("VGG16", "flatten", 200),
    "resnet50": ("ResNet50", "average", 600),
}
N_TEST = 700
DENSE = {"standardize_features": True, "dense_units": [128, 64], "dropout": 0.3}
LEARNING = {"learning_rate": 0.001, "batch_size": 32, "epochs": 20}
PERCENT = [10, 10, 12, 10, 14, 34, 10]  # akiec, bcc, bkl, df, mel, nv, vasc


def main():
    """Train on every backbone both ways with every seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    options = parser.parse_args()
    configure_tensorflow(seed=0, threads=THREADS)
    rows = []
    for backbone in options.backbones:
        pairs = [measure(backbone, seed) for seed in range(1, options.seeds + 1)]
        rows.append({"backbone": backbone} | make_row(*zip(*pairs, strict=True)))
    write_results("frozen", rows, settings=vars(options) | LEARNING | DENSE | {"threads": THREADS})


def measure(name, seed):
    """Return seconds and accuracy of ours and of `fit`, and the number of training rows."""
    network, pooling, n_images = BACKBONES[name]
    images, labels = generate_images(n_images + N_TEST, seed)
    test = images[n_images:].astype(np.float32), labels[n_images:]
    images, labels = images[:n_images], labels[:n_images]
    mixing, labels = oversample(
        images, np.arange(n_images), labels, method="adasyn", n_neighbors=5, seed=seed, codes=CODES
    )
    keras.utils.set_random_seed(seed)
    settings = {"weights": "random", "weights_sha256": None, "preprocessing": "imagenet"}
    settings |= {"network": network, "input_pixels": PIXELS, "pooling": pooling}
    backbone = build_backbone(PIXELS, **settings)

    start = time.perf_counter()
    head, initial = train_ours(backbone, mixing, images, labels, seed)
    our_seconds = time.perf_counter() - start
    network = join(backbone, head)
    our_accuracy = compute_accuracy(network, *test)

    head.set_weights(initial)
    pixels = mix(mixing, images)
    start = time.perf_counter()
    notebook.fit(network, pixels, labels, **LEARNING)
    seconds = time.perf_counter() - start
    return (our_seconds, our_accuracy), (seconds, compute_accuracy(network, *test)), len(labels)


def train_ours(backbone, mixing, images, labels, seed):
    """Extract the features and train dense layers on them; return these, and initial weights."""
    features = np.empty((mixing.shape[0], *backbone.output_shape[1:]), np.float32)
    extract_features(backbone, mixing, images, features)
    head = load_build("dense")(features, len(CODES), **DENSE)
    initial = head.get_weights()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(
            head,
            features.__getitem__,
            labels,
            validation=None,
            seed=seed,
            checkpoint=Path(folder) / "checkpoint.npz",
            on_epoch=lambda history: None,
            **learn_as_stage_train(**LEARNING),
        )
    return head, initial


def compute_accuracy(network, images, labels):
    """Return the accuracy of the network."""
    return float((network.predict(images, verbose=0).argmax(axis=1) == labels).mean())


def make_row(ours, fit, n_rows):
    """Return a line of the table."""
    return {
        "rows": summarize(n_rows),
        "ours, s": summarize([seconds for seconds, _ in ours]),
        "fit, s": summarize([seconds for seconds, _ in fit]),
        "fit / ours": summarize([b[0] / a[0] for a, b in zip(ours, fit, strict=True)]),
        "ours, accuracy": summarize([accuracy for _, accuracy in ours]),
        "fit, accuracy": summarize([accuracy for _, accuracy in fit]),
        "mean difference": statistics.mean(a[1] - b[1] for a, b in zip(ours, fit, strict=True)),
    }


def generate_images(n_images, seed):
    """Return smooth images, uint8 `(n_images, PIXELS, PIXELS, 3)`, and overlapping labels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize(np.repeat(np.arange(len(CODES)), PERCENT), n_images))
    images = np.empty((n_images, PIXELS, PIXELS, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        colours = rng.normal(80 + 15 * label, 40, (5, 5, 3)).clip(0, 255).astype(np.uint8)
        image[:] = cv2.resize(colours, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC)
    return images, labels


if __name__ == "__main__":
    main()
