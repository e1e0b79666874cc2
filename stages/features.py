"""Stage `features`: build a model's frozen part and run it once, over train and val."""

from lesions.stage import read_params, read_paths

import numpy as np
import pandas as pd

from lesions.archive import save_network
from lesions.arrays import create_array, open_images
from lesions.features import extract_features
from lesions.mixing import load_mixing, only_images, over_all_images
from lesions.networks import load_architecture
from lesions.runtime import prepare_tensorflow


def main():
    paths = read_paths(__doc__, "name", "images", "partitions", "mixing", "features")
    params = read_params()
    model = params.models[paths.name]
    prepare_tensorflow(seed=params.seed, threads=params.threads)
    images = open_images(paths.images, pixels=params.resize.pixels)
    frozen = load_architecture(model.architecture).frozen(images.shape[1], **model.of_frozen_part())
    save_network(frozen, paths.features / "frozen.keras")
    if model.backbone is None:
        return
    partition = pd.read_csv(paths.partitions)["partition"].to_numpy()
    mixing, _ = load_mixing(paths.mixing)
    train = over_all_images(mixing, np.flatnonzero(partition == "train"), len(images))
    val = only_images(np.flatnonzero(partition == "val"), len(images))
    for name, rows in {"train": train, "val": val}.items():
        shape = (rows.shape[0], *frozen.output_shape[1:])
        file = paths.features / f"{name}.npy"
        features = create_array(file, shape=shape, dtype=np.float32)
        extract_features(frozen, rows, images, features)
        features.flush()


if __name__ == "__main__":
    main()
