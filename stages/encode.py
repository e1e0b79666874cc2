"""Stage `encode`: add the integer label and the path of its photograph to the metadata."""

from lesions.pipeline.cli import read_params, read_paths

import shutil

from lesions.datasets.ham10000 import METADATA
from lesions.datasets.image_files import find_images
from lesions.datasets.labels import encode_labels
from lesions.datasets.metadata import read_metadata


def main():
    paths = read_paths(__doc__, "raw", "labels", "excluded")
    codes = read_params().classes.codes
    metadata = read_metadata(paths.raw / METADATA)
    labels = encode_labels(metadata, find_images(paths.raw), codes=codes)
    labels.to_csv(paths.labels, index=False)
    shutil.copyfile(paths.raw / "excluded.csv", paths.excluded)


if __name__ == "__main__":
    main()
