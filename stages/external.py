"""Stage `external`: bring an external set in, encode and resize it; all of it is to test on."""

from lesions.stage import read_params, read_paths

import json

import numpy as np

from lesions import duplicates
from lesions.arrays import create_array
from lesions.external import as_test_part, describe_external, refuse_same_files
from lesions.folder import find_images
from lesions.images import resize_images
from lesions.ingestion import ingest_folder
from lesions.labels import encode_labels
from lesions.metadata import read_metadata
from lesions.tables import read_table
from lesions.taxonomy import METADATA


def main():
    outs = ("raw", "labels", "groups", "partitions", "images", "counts")
    paths = read_paths(__doc__, "name", "source", "study", "study_raw", *outs)
    params = read_params()
    extra_images, setting = params.data.extra_images, f"data.external.{paths.name}"
    ingest_folder(paths.source, paths.raw, extra_images=extra_images, setting=setting)
    labels = encode_labels(read_metadata(paths.raw / METADATA), find_images(paths.raw))
    study = read_table(paths.study)
    groups, partitions = as_test_part(labels, study)
    photographs = [paths.raw / path for path in labels["image_path"]]
    study_photographs = [paths.study_raw / path for path in study["image_path"]]
    refuse_same_files(photographs, study_photographs)
    labels.to_csv(paths.labels, index=False)
    groups.to_csv(paths.groups, index=False)
    partitions.to_csv(paths.partitions, index=False)
    shape = (len(labels), params.resize.pixels, params.resize.pixels, 3)
    images = create_array(paths.images, shape=shape, dtype=np.uint8)
    resize_images(photographs, images, **dict(params.resize))
    images.flush()

    # As stage `audit` looks for near-duplicates; here they are counted, for the reader to judge.
    files = study_photographs + photographs
    squares = np.empty((len(files), duplicates.SIZE, duplicates.SIZE, 3), np.uint8)
    resize_images(files, squares, pixels=duplicates.SIZE, interpolation="area", crop="square")
    pairs = duplicates.find_similar_pairs(
        squares, n_neighbors=params.audit.n_neighbors, search=params.audit.search
    )
    similarity = params.audit.similarity
    counts = describe_external(labels, pairs, n_study=len(study), similarity=similarity)
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
