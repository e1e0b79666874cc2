"""Stage `encode`: add the integer label and the path of its photograph to the metadata."""

from lesions.pipeline.cli import read_params, read_paths

import shutil

from lesions.datasets.image_files import find_images
from lesions.datasets.labels import encode_labels
from lesions.datasets.metadata import EXCLUDED, find_raw_metadata, read_metadata


def main():
    paths = read_paths(__doc__, "raw", "labels", "excluded")
    codes = read_params().classes.codes
    metadata = read_metadata(find_raw_metadata(paths.raw), codes=codes)
    labels = encode_labels(metadata, find_images(paths.raw), codes=codes)
    labels.to_csv(paths.labels, index=False)
    shutil.copyfile(paths.raw / EXCLUDED, paths.excluded)


if __name__ == "__main__":
    main()
