"""Stage `predict`: predict all images of a set that the model was not trained on."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.imaging.photographs import open_photographs
from lesions.inference.predict import find_pixels, predict_images
from lesions.networks.backend import configure_tensorflow
from lesions.networks.metadata import encode_metadata
from lesions.networks.saving import load_network, read_encoding, read_trained_on
from lesions.pipeline.files import read_table, write_json


def main():
    inputs = ("labels", "images", "raw", "partitions", "model")
    paths = read_paths(__doc__, *inputs, "predictions", "probabilities", "trained_on")
    params = read_params()
    configure_tensorflow(seed=params.seed, threads=params.threads)
    table = read_table(paths.partitions)
    labels = read_table(paths.labels)
    table["label"] = labels["label"]
    held_out = np.flatnonzero(table["partition"] != "train")
    network = load_network(paths.model)
    resize = dict(params.resize) | {"pixels": find_pixels(network)}
    # At the size of the stored images, photographs are resized to just these.
    source = paths.images if resize["pixels"] == params.resize.pixels else paths.raw
    probabilities = predict_images(
        network,
        open_photographs(source, labels["image_path"], **resize),
        rows=held_out,
        codes=params.classes.codes,
        metadata=encode_metadata(labels.iloc[held_out], read_encoding(paths.model)),
        **dict(params.predict),
    )
    np.save(paths.probabilities, probabilities.to_numpy())
    predictions = table.iloc[held_out].reset_index(drop=True).join(probabilities)
    predictions.to_csv(paths.predictions, index=False, float_format="%.6f")
    write_json(paths.trained_on, read_trained_on(paths.model))


if __name__ == "__main__":
    main()
