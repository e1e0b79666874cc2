"""Stage `ensemble`: average the predictions of several models on a set of images."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.inference.ensembles import average, fit_weights
from lesions.pipeline.files import read_table, write_json
from lesions.taxonomy import probability_columns


def main():
    folders = ("probabilities", "study_probabilities")
    tables = ("partitions", "labels", "study_partitions", "study_labels")
    paths = read_paths(__doc__, "name", *folders, *tables, "predictions", "weights")
    params = read_params()
    ensemble = params.ensembles[paths.name]

    def read(folder, partitions, labels):
        """Return all images that no model was trained on, and each model's probabilities."""
        images = read_table(partitions).assign(label=read_table(labels)["label"])
        images = images[images["partition"] != "train"].reset_index(drop=True)
        return images, [np.load(folder / f"{model}.npy") for model in ensemble.models]

    weights = np.full(len(ensemble.models), 1 / len(ensemble.models))
    if ensemble.weights == "validation":
        study, found = read(paths.study_probabilities, paths.study_partitions, paths.study_labels)
        val = study["partition"] == "val"
        weights = fit_weights(study.loc[val, "label"].to_numpy(), [p[val] for p in found])
    images, found = read(paths.probabilities, paths.partitions, paths.labels)
    images[probability_columns(params.classes.codes)] = average(found, weights)
    images.to_csv(paths.predictions, index=False, float_format="%.6f")
    write_json(paths.weights, dict(zip(ensemble.models, weights.tolist(), strict=True)))


if __name__ == "__main__":
    main()
