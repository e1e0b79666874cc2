"""Stage `predict`: ask a trained model about every image that it was not trained on."""

from lesions.stage import read_params, read_paths

import json

import numpy as np

from lesions.archive import load_network, read_trained_on
from lesions.arrays import open_images
from lesions.inference import predict_images
from lesions.runtime import prepare_tensorflow
from lesions.tables import read_table


def main():
    paths = read_paths(__doc__, "labels", "images", "partitions", "model", "predictions", "machine")
    params = read_params()
    prepare_tensorflow(seed=params.seed, threads=params.threads)
    table = read_table(paths.partitions)
    table["label"] = read_table(paths.labels)["label"]
    held_out = np.flatnonzero(table["partition"] != "train")
    images = open_images(paths.images, pixels=params.resize.pixels)[held_out]
    probabilities = predict_images(load_network(paths.model), images)
    predictions = table.iloc[held_out].reset_index(drop=True).join(probabilities)
    predictions.to_csv(paths.predictions, index=False, float_format="%.6f")
    trained_on = json.dumps(read_trained_on(paths.model), indent=2) + "\n"
    paths.machine.write_text(trained_on, encoding="utf-8")


if __name__ == "__main__":
    main()
