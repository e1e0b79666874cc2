"""Stage `train`: fit a model's head, or all of it where nothing is frozen, and join the two."""

from lesions.stage import read_params, read_paths

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lesions.archive import load_network, save_network
from lesions.arrays import open_images
from lesions.machine import describe_machine
from lesions.mixing import load_mixing, mix_rows, over_all_images
from lesions.networks import load_architecture
from lesions.networks.parts import join, standardised
from lesions.resume import digest
from lesions.runtime import keras, prepare_tensorflow
from lesions.training import train


def main():
    inputs = ("labels", "images", "partitions", "mixing", "features")
    paths = read_paths(__doc__, "name", *inputs, "model", "curves", "resume")
    params = read_params()
    model = params.models[paths.name]
    prepare_tensorflow(seed=params.seed, threads=params.threads)

    partition = pd.read_csv(paths.partitions)["partition"].to_numpy()
    val = np.flatnonzero(partition == "val")
    mixing, labels = load_mixing(paths.mixing)
    frozen = load_network(paths.features / "frozen.keras")
    architecture = load_architecture(model.architecture)
    head = architecture.trainable(frozen.output_shape[1:], **model.of_head())
    if model.backbone is None:
        images = open_images(paths.images, pixels=params.resize.pixels)
        mixing = over_all_images(mixing, np.flatnonzero(partition == "train"), len(images))
        read, validation = partial(mix_rows, mixing, images), images[val]
        network = join(frozen, head)
    else:
        features = np.load(paths.features / "train.npy", mmap_mode="r")
        head = standardised(head, features) if model.standardise else head
        read, validation = features.__getitem__, np.load(paths.features / "val.npy")
        network = head

    val_labels = pd.read_csv(paths.labels)["label"].to_numpy()[val]
    settings = f"{params.seed} {params.threads} {model.model_dump_json()} {keras.__version__}"
    state = digest(settings, [Path(__file__), *(getattr(paths, name) for name in inputs)])
    train(
        network,
        read,
        labels,
        validation=(validation, val_labels) if len(val) else None,
        state=paths.resume / state / "state.npz",
        on_epoch=lambda history: history.to_csv(paths.curves, index=False),
        seed=params.seed,
        **model.model_dump(include={"learning_rate", "batch_size", "epochs", "keep_epoch"}),
    )
    save_network(join(frozen, head), paths.model, trained_on=describe_machine())
    shutil.rmtree(paths.resume)


if __name__ == "__main__":
    main()
