"""Stage `encode`: give every diagnosis its label and every row the path of its photograph."""

from lesions.stage import read_paths

from lesions.folder import find_images
from lesions.labels import encode_labels
from lesions.metadata import read_metadata
from lesions.taxonomy import METADATA


def main():
    paths = read_paths(__doc__, "raw", "labels")
    metadata = read_metadata(paths.raw / METADATA)
    labels = encode_labels(metadata, find_images(paths.raw))
    labels.to_csv(paths.labels, index=False)


if __name__ == "__main__":
    main()
