"""Stage `resize`: read every photograph of a set, resize it, and store all in one array."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.imaging.arrays import create_array
from lesions.imaging.images import resize_images
from lesions.pipeline.files import read_table


def main():
    paths = read_paths(__doc__, "labels", "raw", "images")
    settings = read_params().resize
    photographs = [paths.raw / path for path in read_table(paths.labels)["image_path"]]
    shape = (len(photographs), settings.pixels, settings.pixels, 3)
    images = create_array(paths.images, shape=shape, dtype=np.uint8)
    resize_images(photographs, images, **dict(settings))
    images.flush()


if __name__ == "__main__":
    main()
