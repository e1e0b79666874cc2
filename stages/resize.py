"""Stage `resize`: read every photograph, resize it, and keep all of them in one array."""

from lesions.stage import read_params, read_paths

import numpy as np
import pandas as pd

from lesions.arrays import create_array
from lesions.images import resize_images


def main():
    paths = read_paths(__doc__, "labels", "raw", "images")
    settings = read_params().resize
    photographs = [paths.raw / path for path in pd.read_csv(paths.labels)["image_path"]]
    shape = (len(photographs), settings.pixels, settings.pixels, 3)
    images = create_array(paths.images, shape=shape, dtype=np.uint8)
    resize_images(photographs, images, **dict(settings))
    images.flush()


if __name__ == "__main__":
    main()
