"""Stage `predict`: predict all images of a set that the model was not trained on."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.imaging.arrays import open_images
from lesions.inference.predict import predict_images
from lesions.networks.backend import configure_tensorflow
from lesions.networks.metadata import encode_metadata
from lesions.networks.saving import load_network, read_encoding, read_trained_on
from lesions.pipeline.files import read_table, write_json


def main():
    inputs = ("labels", "images", "partitions", "model")
    paths = read_paths(__doc__, *inputs, "predictions", "trained_on")
    params = read_params()
    configure_tensorflow(seed=params.seed, threads=params.threads)
    table = read_table(paths.partitions)
    labels = read_table(paths.labels)
    table["label"] = labels["label"]
    held_out = np.flatnonzero(table["partition"] != "train")
    images = open_images(paths.images, pixels=params.resize.pixels)[held_out]
    metadata = encode_metadata(labels.iloc[held_out], read_encoding(paths.model))
    network, settings = load_network(paths.model), dict(params.predict)
    probabilities = predict_images(
        network, images, codes=params.classes.codes, metadata=metadata, **settings
    )
    predictions = table.iloc[held_out].reset_index(drop=True).join(probabilities)
    predictions.to_csv(paths.predictions, index=False, float_format="%.6f")
    write_json(paths.trained_on, read_trained_on(paths.model))


if __name__ == "__main__":
    main()
