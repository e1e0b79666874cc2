"""Stage `split`: give every image one partition."""

import json

import pandas as pd

from lesions.split import describe_split, partition_images
from lesions.stage import read_params, read_paths


def main():
    paths = read_paths(__doc__, "labels", "partitions", "counts")
    params = read_params()
    labels = pd.read_csv(paths.labels)
    partitions = partition_images(labels, seed=params.seed, **dict(params.split))
    partitions.to_csv(paths.partitions, index=False)
    paths.counts.write_text(json.dumps(describe_split(labels, partitions), indent=2) + "\n")


if __name__ == "__main__":
    main()
