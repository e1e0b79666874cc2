"""Training a head on a frozen backbone: its features once, beside `fit` through all of it.

`ours` runs the frozen part once over the rows of the mixing matrix and trains the head on what
comes out; `fit` is the notebook's way, all resampled images through backbone and head in every
epoch. Both have the same images, backbone, initial head and settings (params.yaml's, 20 epochs),
and are timed from the images to the trained head, the compiling of their graphs included. The mean
and spread with which the head begins are measured by `ours`, and given to `fit`. The order of the
rows and the dropout masks differ, as two seeds do; so the accuracy, on images of which neither has
seen any, is compared over seeds.

The weights are random; the images are invented, with colours that differ by class.
`python benchmarks/frozen.py` takes about six minutes. The ratio grows with the number of rows
towards that of epochs, 20, since compiling takes as long however few there are.
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
from side_by_side import report, spread

from lesions.balance import mixing_matrix
from lesions.features import extract_features
from lesions.mixing import mix
from lesions.networks import load_architecture
from lesions.networks.parts import standardised
from lesions.runtime import keras, prepare_tensorflow
from lesions.training import train

SIZE, THREADS = 32, 2
MODELS = {  # pooling, and training images before they are resampled
    "vgg16": ("flatten", 200),
    "resnet50": ("average", 600),
}
N_TEST = 700
HEAD = {"dense_units": [128, 64], "dropout": 0.3}
LEARNING = {"learning_rate": 0.001, "batch_size": 32, "epochs": 20}
PERCENT = [10, 10, 12, 10, 14, 34, 10]  # akiec, bcc, bkl, df, mel, nv, vasc


def main():
    """Train every backbone's head both ways with every seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    options = parser.parse_args()
    prepare_tensorflow(seed=0, threads=THREADS)
    rows = []
    for model in options.models:
        pairs = [measure(model, seed) for seed in range(1, options.seeds + 1)]
        rows.append(line(model, *zip(*pairs, strict=True)))
    report("frozen", rows, settings=vars(options) | LEARNING | {"size": SIZE, "threads": THREADS})


def measure(model, seed):
    """Give what `ours` and `fit` took and reached, and the number of rows they were trained on."""
    pooling, n_images = MODELS[model]
    images, labels = invent(n_images + N_TEST, seed)
    test = images[n_images:].astype(np.float32), labels[n_images:]
    images, labels = images[:n_images], labels[:n_images]
    mixing, labels = mixing_matrix(
        images, np.arange(n_images), labels, method="adasyn", n_neighbors=5, seed=seed
    )
    keras.utils.set_random_seed(seed)
    architecture = load_architecture(model)
    frozen = architecture.frozen(
        SIZE,
        input_size=SIZE,
        preprocessing="imagenet",
        backbone={"weights": "random", "pooling": pooling},
    )
    head = architecture.trainable(frozen.output_shape[1:], **HEAD)
    initial = head.get_weights()

    start = time.perf_counter()
    whole_head = ours(frozen, head, mixing, images, labels, seed)
    our_seconds = time.perf_counter() - start
    network = notebook.on_backbone(frozen, whole_head)
    our_accuracy = accuracy(network, *test)

    head.set_weights(initial)
    pixels = mix(mixing, images)
    start = time.perf_counter()
    notebook.fit(network, pixels, labels, validation=None, **LEARNING)
    seconds = time.perf_counter() - start
    return (our_seconds, our_accuracy), (seconds, accuracy(network, *test)), len(labels)


def ours(frozen, head, mixing, images, labels, seed):
    """Extract the features, train the head on them; give it with its standardisation."""
    features = np.empty((mixing.shape[0], *frozen.output_shape[1:]), np.float32)
    extract_features(frozen, mixing, images, features)
    head = standardised(head, features)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(
            head,
            features.__getitem__,
            labels,
            validation=None,
            keep_epoch="last",
            seed=seed,
            state=Path(folder) / "state.npz",
            on_epoch=lambda history: None,
            **LEARNING,
        )
    return head


def accuracy(network, images, labels):
    """Give the accuracy of the network."""
    return float((network.predict(images, verbose=0).argmax(axis=1) == labels).mean())


def line(model, ours, fit, n_rows):
    """Give a line of the table."""
    differences = [one[1] - two[1] for one, two in zip(ours, fit, strict=True)]
    ratios = [two[0] / one[0] for one, two in zip(ours, fit, strict=True)]
    return {
        "model": model,
        "rows": spread(n_rows),
        "ours, s": spread([seconds for seconds, _ in ours]),
        "fit, s": spread([seconds for seconds, _ in fit]),
        "fit / ours": spread(ratios),
        "ours, accuracy": spread([accuracy for _, accuracy in ours]),
        "fit, accuracy": spread([accuracy for _, accuracy in fit]),
        "mean difference": statistics.mean(differences),
    }


def invent(n_images, seed):
    """Give smooth images, uint8 `(n_images, SIZE, SIZE, 3)`, and labels; the classes overlap."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize(np.repeat(np.arange(7), PERCENT), n_images))
    images = np.empty((n_images, SIZE, SIZE, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        colours = rng.normal(80 + 15 * label, 40, (5, 5, 3)).clip(0, 255).astype(np.uint8)
        image[:] = cv2.resize(colours, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return images, labels


if __name__ == "__main__":
    main()
