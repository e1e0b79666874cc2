"""Stage `external`: bring an external set in, encode and resize it; all of it is to test on."""

import numpy as np

from lesions.external import as_test_part
from lesions.folder import find_images
from lesions.images import resize_images
from lesions.ingestion import ingest_folder
from lesions.metadata import encode_labels, read_metadata
from lesions.stage import read_params, read_paths
from lesions.tables import read_table
from lesions.taxonomy import METADATA


def main():
    tables = ("labels", "groups", "partitions")
    paths = read_paths(__doc__, "source", "study", "raw", *tables, "images")
    params = read_params()
    ingest_folder(paths.source, paths.raw, extra_images=params.data.extra_images)
    labels = encode_labels(read_metadata(paths.raw / METADATA), find_images(paths.raw))
    groups, partitions = as_test_part(labels, read_table(paths.study))
    labels.to_csv(paths.labels, index=False)
    groups.to_csv(paths.groups, index=False)
    partitions.to_csv(paths.partitions, index=False)
    photographs = [paths.raw / path for path in labels["image_path"]]
    shape = (len(labels), params.resize.size, params.resize.size, 3)
    images = np.lib.format.open_memmap(paths.images, mode="w+", dtype=np.uint8, shape=shape)
    resize_images(photographs, images, **dict(params.resize))
    images.flush()


if __name__ == "__main__":
    main()
