"""Stage `train`: train a model on images, or on the features of a backbone."""

from lesions.pipeline.cli import read_params, read_paths

import shutil
from functools import partial
from pathlib import Path

import pandas as pd

from lesions.networks import load_build
from lesions.networks.backend import configure_tensorflow
from lesions.networks.layers import add_metadata
from lesions.networks.metadata import choose_encoding, encode_metadata
from lesions.networks.saving import save_network
from lesions.sampling.mixing import load_mixing
from lesions.training.checkpoint import refuse_changed, training_key
from lesions.training.inputs import open_inputs
from lesions.training.loop import train, write_curves
from lesions.training.machine import describe_machine


def main():
    data = ("labels", "partitions", "mixing", "images", "inputs")
    paths = read_paths(__doc__, "name", *data, "model", "curve", "monitored", "checkpoint")
    params = read_params()
    model = params.models[paths.name]
    seed = params.seed if model.seed is None else model.seed
    configure_tensorflow(seed=seed, threads=params.threads)
    mixing, mixed_labels = load_mixing(paths.mixing)
    labels = pd.read_csv(paths.labels)
    partition = pd.read_csv(paths.partitions)["partition"].to_numpy()
    encoding = choose_encoding(labels[partition == "train"], model.metadata)
    metadata = encode_metadata(labels, encoding)
    resize = model.resize_settings(dict(params.resize))
    inputs = open_inputs(
        paths.inputs,
        images=paths.images,
        mixing=mixing,
        mixed_labels=mixed_labels,
        labels=labels["label"].to_numpy(),
        metadata=metadata,
        partition=partition,
        rows=model.rows,
        monitor=model.monitor,
        image_paths=labels["image_path"],
        resize=resize,
    )
    codes, network_settings = params.classes.codes, model.network_settings()
    build = load_build(model.architecture, network_settings)
    network = build(inputs.features, len(codes), **network_settings)
    network = add_metadata(network, metadata.shape[1])

    files = [Path(__file__), *(getattr(paths, name) for name in data)]
    key = training_key(list_settings(params, paths.name), files)
    checkpoint = paths.checkpoint / key / "checkpoint.npz"
    # A network that cannot be joined or saved fails now, not after the last epoch.
    save_network(inputs.end_to_end(network), checkpoint.with_name("untrained.keras"))
    train(
        network,
        inputs.read,
        inputs.labels,
        validation=inputs.validation,
        monitored=inputs.monitored,
        checkpoint=checkpoint,
        on_epoch=partial(write_curves, curve=paths.curve, monitored=paths.monitored),
        seed=seed,
        **model.training_settings(),
    )
    refuse_changed(key, list_settings(read_params(), paths.name), files, name=paths.name)
    facts = {"trained_on": describe_machine(), "encoding": encoding}
    save_network(inputs.end_to_end(network), paths.model, **facts)
    shutil.rmtree(checkpoint.parent)  # trainings of other settings may be half done
    if not any(paths.checkpoint.iterdir()):
        paths.checkpoint.rmdir()


def list_settings(params, name):
    """Return what DVC tracks of the settings, and the machine, as text."""
    tracked = (params.seed, params.threads, params.classes.codes, params.resize)
    return repr([*tracked, params.models.get(name), describe_machine()])


if __name__ == "__main__":
    main()
