"""Stage `predict`: predict all images of a set that the model was not trained on."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.imaging.arrays import open_images
from lesions.inference.predict import predict_images
from lesions.networks.backend import configure_tensorflow
from lesions.networks.saving import load_network, read_trained_on
from lesions.pipeline.files import read_table, write_json


def main():
    inputs = ("labels", "images", "partitions", "model")
    paths = read_paths(__doc__, *inputs, "predictions", "trained_on")
    params = read_params()
    configure_tensorflow(seed=params.seed, threads=params.threads)
    table = read_table(paths.partitions)
    table["label"] = read_table(paths.labels)["label"]
    held_out = np.flatnonzero(table["partition"] != "train")
    images = open_images(paths.images, pixels=params.resize.pixels)[held_out]
    network, settings = load_network(paths.model), dict(params.predict)
    probabilities = predict_images(network, images, codes=params.classes.codes, **settings)
    predictions = table.iloc[held_out].reset_index(drop=True).join(probabilities)
    predictions.to_csv(paths.predictions, index=False, float_format="%.6f")
    write_json(paths.trained_on, read_trained_on(paths.model))


if __name__ == "__main__":
    main()
