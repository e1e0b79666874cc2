"""Stage `balance`: over-sample the training part, as a sparse mixing matrix."""

from lesions.stage import read_params, read_paths

import json

import numpy as np
import pandas as pd

from lesions.arrays import open_images
from lesions.balance import count_resampled, mixing_matrix
from lesions.mixing import save_mixing


def main():
    paths = read_paths(__doc__, "labels", "images", "partitions", "mixing", "counts")
    params = read_params()
    trained = pd.read_csv(paths.partitions)["partition"] == "train"
    labels = pd.read_csv(paths.labels).loc[trained, "label"].to_numpy()
    images = open_images(paths.images, pixels=params.resize.pixels)
    mixing, resampled = mixing_matrix(
        images, np.flatnonzero(trained), labels, seed=params.seed, **dict(params.balance)
    )
    save_mixing(paths.mixing, mixing, resampled)
    counts = count_resampled(labels, resampled)
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
