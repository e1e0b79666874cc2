"""Stage `features`: run a frozen backbone over the resampled training images and over val."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np
import pandas as pd

from lesions.imaging.arrays import create_array, open_images
from lesions.networks import load_build
from lesions.networks.backend import configure_tensorflow
from lesions.networks.saving import save_network
from lesions.sampling.mixing import index_all_images, load_mixing, select_images
from lesions.training.feature_extraction import extract_features


def main():
    paths = read_paths(__doc__, "name", "images", "partitions", "mixing", "features")
    params = read_params()
    settings = params.backbones[paths.name]
    configure_tensorflow(seed=params.seed, threads=params.threads)
    images = open_images(paths.images, pixels=params.resize.pixels)
    partition = pd.read_csv(paths.partitions)["partition"].to_numpy()
    mixing, _ = load_mixing(paths.mixing)

    network_settings = settings.network_settings()
    build = load_build(settings.architecture, network_settings, function="build_backbone")
    backbone = build(params.resize.pixels, **network_settings)
    save_network(backbone, paths.features / "backbone.keras")
    train = index_all_images(mixing, np.flatnonzero(partition == "train"), len(images))
    val = select_images(np.flatnonzero(partition == "val"), len(images))
    for name, rows in {"train": train, "val": val}.items():
        file, shape = paths.features / f"{name}.npy", (rows.shape[0], *backbone.output_shape[1:])
        features = create_array(file, shape=shape, dtype=np.float32)
        extract_features(backbone, rows, images, features)
        features.flush()


if __name__ == "__main__":
    main()
