"""Speed of fine-tuning: our loop beside Keras' `fit` on the same network, augmented alike.

Ours is `lesions.training.loop.train` on uint8 images in a memory map, as in stage `train`. `fit`
has the same network, float32 pixels in memory, and in front Keras' own layers for the same changes.
Both train all layers with AdamW, cosine schedule, class weights and label smoothing, in turn, each
in a new process. Epochs are timed after the first, which compiles; the fastest counts. `waiting` is
the share of our time that the loop waits for photographs.

`--augment none` leaves augmentation out. `--parts` times the parts of a training step instead:
forward alone, forward and backward, with Keras' layers and with ours, and the augmentation.
`--photographs` times our loop on a stored array beside our loop on photographs, JPEGs of 600 × 450
px as `benchmarks/resize.py` writes them, decoded fully and at reduced scale. The first 256 images
of an epoch are always waited for, so `--images` should be several times that.

`python benchmarks/finetune.py` takes about 15 minutes.
"""

import argparse
import contextlib
import io
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
from resize import write_photographs
from side_by_side import call_in_process, learn_as_stage_train, summarize, write_results

from lesions.imaging.photographs import Photographs
from lesions.networks import load_build
from lesions.networks.backend import configure_tensorflow, keras, tf
from lesions.training import loop
from lesions.training.augmentation import change_images
from lesions.training.fast_layers import copy_for_training

N_CLASSES, THREADS, SEED = 7, 2, 1
BACKBONE = {
    "weights": "random",
    "weights_sha256": None,
    "preprocessing": "imagenet",
    "pooling": "average",
    "trainable": "all",
    "dense_units": [],
    "dropout": 0.3,
}
SOURCES = {"array": "reduced", "photographs, reduced": "reduced", "photographs, full": "full"}
QUALITY = 100  # of the JPEGs
NETWORKS = {
    "EfficientNet-Lite0": ("efficientnet_lite", {"version": 0}),
    "VGG16": ("applications", {"network": "VGG16"}),
}
LEARNING = {
    "learning_rate": 0.0001,
    "weight_decay": 0.02,
    "label_smoothing": 0.1,
    "batch_size": 32,
    "epochs": 3,
}


def main():
    """Measure both with every network and size; print the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--pixels", nargs="+", type=int, default=[64, 112])
    parser.add_argument("--images", type=int, default=512, help="images an epoch")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--augment", choices=["none", "dermatoscopy"], default="dermatoscopy")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--parts", action="store_true", help="time the parts of a step")
    modes.add_argument("--photographs", action="store_true", help="read photographs themselves")
    options = parser.parse_args()
    measure_row = measure_parts if options.parts else measure_pairs
    measure_row = measure_sources if options.photographs else measure_row
    mode = "_parts" * options.parts + "_photographs" * options.photographs
    settings = vars(options) | LEARNING | {"threads": THREADS}
    rows = []
    for name, pixels in itertools.product(options.networks, options.pixels):
        rows.append({"network": name, "pixels": pixels} | measure_row(name, pixels, options))
        write_results(f"finetune{mode}", rows, settings=settings)


def measure_pairs(name, pixels, options):
    """Return images per second of both, their ratio, and the share of time spent waiting."""
    arguments = (name, pixels, options.images, options.augment)
    pairs = [
        [call_in_process(measure, method, *arguments) for method in (train_ours, train_fit)]
        for _ in range(options.pairs)
    ]
    ours, fit = zip(*pairs, strict=True)
    return {
        "ours, images/s": summarize([speed for speed, _ in ours]),
        "fit, images/s": summarize([speed for speed, _ in fit]),
        "ours / fit": summarize([first[0] / second[0] for first, second in pairs]),
        "waiting": summarize([waiting for _, waiting in ours]),
    }


def measure(method, name, pixels, n_images, policy):
    """Return images per second in the fastest epoch, and the share of time spent waiting."""
    configure_tensorflow(seed=SEED, threads=THREADS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        np.save(file, draw_images(n_images, pixels))
        images, labels = np.load(file, mmap_mode="r"), np.arange(n_images) % N_CLASSES
        return method(build(name, pixels), images, labels, policy, Path(folder))


def measure_sources(name, pixels, options):
    """Return images per second and the share of time spent waiting, for each of `SOURCES`."""
    found = {source: [] for source in SOURCES}
    with tempfile.TemporaryDirectory() as folder:
        files = call_in_process(write_photographs, folder, options.images, QUALITY)
        for _ in range(options.pairs):
            for source in SOURCES:
                arguments = (source, files, name, pixels, options.augment)
                found[source].append(call_in_process(measure_source, *arguments))
    return {
        f"{source}, {what}": summarize([run[index] for run in runs])
        for source, runs in found.items()
        for index, what in enumerate(("images/s", "waiting"))
    }


def measure_source(source, files, name, pixels, policy):
    """Return what `measure` does, of our loop on photographs or on their array."""
    configure_tensorflow(seed=SEED, threads=THREADS)
    labels, decode = np.arange(len(files)) % N_CLASSES, SOURCES[source]
    settings = {"pixels": pixels, "interpolation": "area", "crop": "square", "decode": decode}
    images = Photographs([Path(file) for file in files], **settings)
    with tempfile.TemporaryDirectory() as folder:
        if source == "array":
            np.save(Path(folder) / "images.npy", images[:])
            images = np.load(Path(folder) / "images.npy", mmap_mode="r")
        return train_ours(build(name, pixels), images, labels, policy, Path(folder))


def draw_images(n_images, pixels):
    """Return random pixels."""
    rng = np.random.default_rng(SEED)
    return rng.integers(0, 256, (n_images, pixels, pixels, 3), np.uint8)


def build(name, pixels):
    """Return a network to be fine-tuned."""
    architecture, settings = NETWORKS[name]
    inputs = np.zeros((1, pixels, pixels, 3), np.uint8)
    return load_build(architecture)(inputs, N_CLASSES, input_pixels=pixels, **settings, **BACKBONE)


def train_ours(network, images, labels, policy, folder):
    """Train as stage `train` does."""
    waits, ends = [0.0], []
    read_ahead = loop._read_ahead

    def timed(read, chunks):
        rows = read_ahead(read, chunks)
        for _ in chunks:
            start = time.perf_counter()
            values = next(rows)
            waits[-1] += time.perf_counter() - start
            yield values

    def end_epoch(_):
        ends.append(time.perf_counter())
        waits.append(0.0)

    loop._read_ahead = timed
    with contextlib.redirect_stdout(io.StringIO()):
        loop.train(
            network,
            lambda rows: images[rows].astype(np.float32),
            labels,
            validation=None,
            seed=SEED,
            checkpoint=folder / "checkpoint.npz",
            on_epoch=end_epoch,
            **learn_as_stage_train(
                augment=policy, class_weights="sqrt", schedule="cosine", **LEARNING
            ),
        )
    seconds = np.diff(ends)
    return float(len(labels) / seconds.min()), float(sum(waits[1:-1]) / seconds.sum())


def train_fit(network, images, labels, policy, folder):
    """Train with `fit`."""
    ends = []
    n_steps = int(np.ceil(len(labels) / LEARNING["batch_size"])) * LEARNING["epochs"]
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING["learning_rate"], n_steps)
    layers = list_keras_layers() if policy == "dermatoscopy" else []
    model = keras.Sequential([keras.Input(images.shape[1:]), *layers, network])
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=LEARNING["weight_decay"]),
        keras.losses.CategoricalCrossentropy(label_smoothing=LEARNING["label_smoothing"]),
        metrics=["accuracy"],
    )
    end = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    model.fit(
        images.astype(np.float32),
        np.eye(N_CLASSES, dtype=np.float32)[labels],
        batch_size=LEARNING["batch_size"],
        epochs=LEARNING["epochs"],
        class_weight=dict.fromkeys(range(N_CLASSES), 1.0),
        verbose=0,
        callbacks=[end],
    )
    return float(len(labels) / np.diff(ends).min()), 0.0


def list_keras_layers():
    """Return Keras' layers for what the policy `dermatoscopy` does, but for the illumination."""
    layers, values = keras.layers, {"value_range": (0, 255)}
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(1.0, fill_mode="reflect"),
        layers.RandomZoom((-0.28, 0.05), fill_mode="reflect"),
        layers.RandomTranslation(0.07, 0.07, fill_mode="reflect"),
        layers.RandomColorJitter(
            brightness_factor=0.1, contrast_factor=0.2, saturation_factor=(0.4, 0.6), **values
        ),
        layers.RandomErasing(factor=(0.5, 0.5), scale=(0.02, 0.12), **values),
    ]


def measure_parts(name, pixels, options):
    """Return milliseconds of a batch: forward, forward and backward, and augmentation."""
    columns = {}
    for layers, fast in (("Keras' layers", False), ("ours", True)):
        for part in ("forward", "forward and backward"):
            times = [
                call_in_process(time_part, name, pixels, part, fast) for _ in range(options.pairs)
            ]
            columns[f"{part}, {layers}, ms"] = summarize(times)
    for whose, keras_layers in (("Keras' layers", True), ("ours", False)):
        times = [
            call_in_process(time_augmentation, pixels, keras_layers) for _ in range(options.pairs)
        ]
        columns[f"augmentation, {whose}, ms"] = summarize(times)
    return columns


def time_part(name, pixels, part, fast):
    """Return the milliseconds of a batch, the best of ten."""
    configure_tensorflow(seed=SEED, threads=THREADS)
    network = build(name, pixels)
    network = copy_for_training(network, "float32") if fast else network
    images = tf.constant(draw_images(LEARNING["batch_size"], pixels), tf.float32)

    @tf.function
    def forward():
        return network(images, training=False)

    @tf.function
    def backward():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.math.log(network(images, training=True)[:, 0]))
        return [tf.reduce_sum(g) for g in tape.gradient(loss, network.trainable_variables)]

    return time_best(forward if part == "forward" else backward)


def time_augmentation(pixels, keras_layers):
    """Return the milliseconds of a batch, the best of ten."""
    configure_tensorflow(seed=SEED, threads=THREADS)
    images = draw_images(LEARNING["batch_size"], pixels)
    if not keras_layers:
        rng = np.random.default_rng(SEED)
        return time_best(lambda: tf.constant(change_images(images, "dermatoscopy", rng)))
    layers, pixels = list_keras_layers(), tf.constant(images, tf.float32)

    @tf.function
    def change():
        values = pixels
        for layer in layers:
            values = layer(values, training=True)
        return values

    return time_best(change)


def time_best(function):
    """Return the milliseconds of the fastest of ten calls, after two that do not count."""
    times = []
    for _ in range(12):
        start = time.perf_counter()
        tf.nest.map_structure(lambda value: value.numpy(), function())
        times.append(time.perf_counter() - start)
    return 1000 * min(times[2:])


if __name__ == "__main__":
    main()
