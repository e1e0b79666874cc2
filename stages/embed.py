"""Stage `embed`: run a network over all photographs of a set, for the audit."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.pipeline.files import read_table


def main():
    paths = read_paths(__doc__, "labels", "raw", "embeddings")
    params = read_params()
    labels = read_table(paths.labels)
    embeddings = np.empty((len(labels), 0), np.float16)
    if params.audit.method != "pixels":
        from lesions.inference.embeddings import embed_photographs  # TensorFlow takes seconds
        from lesions.networks.backend import configure_tensorflow

        configure_tensorflow(seed=params.seed, threads=params.threads)
        embeddings = embed_photographs([paths.raw / path for path in labels["image_path"]])
    np.save(paths.embeddings, embeddings)


if __name__ == "__main__":
    main()
