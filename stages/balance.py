"""Stage `balance`: over-sample the training part, as a sparse mixing matrix."""

import json

import numpy as np
import pandas as pd

from lesions.balance import count_classes, mixing_matrix
from lesions.mixing import save_mixing
from lesions.stage import read_params, read_paths


def main():
    paths = read_paths(__doc__, "labels", "images", "partitions", "mixing", "counts")
    params = read_params()
    trained = pd.read_csv(paths.partitions)["partition"] == "train"
    labels = pd.read_csv(paths.labels).loc[trained, "label"].to_numpy()
    images = np.load(paths.images, mmap_mode="r")
    mixing, resampled = mixing_matrix(
        images, np.flatnonzero(trained), labels, seed=params.seed, **dict(params.balance)
    )
    save_mixing(paths.mixing, mixing, resampled)
    counts = {"before": count_classes(labels), "after": count_classes(resampled)}
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
