"""Stage `balance`: over-sample the training images as a sparse mixing matrix."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.imaging.arrays import open_images
from lesions.pipeline.files import read_table
from lesions.sampling.mixing import save_mixing
from lesions.sampling.oversample import count_rows, oversample


def main():
    paths = read_paths(__doc__, "labels", "images", "partitions", "mixing", "counts")
    params = read_params()
    train = (read_table(paths.partitions)["partition"] == "train").to_numpy()
    labels = read_table(paths.labels).loc[train, "label"].to_numpy()
    images = open_images(paths.images, pixels=params.resize.pixels)
    mixing, resampled = oversample(
        images,
        np.flatnonzero(train),
        labels,
        codes=params.classes.codes,
        seed=params.seed,
        **dict(params.balance),
    )
    save_mixing(paths.mixing, mixing, resampled)
    counts = count_rows(labels, resampled, codes=params.classes.codes)
    counts.to_csv(paths.counts, index=False)


if __name__ == "__main__":
    main()
