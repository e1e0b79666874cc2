"""Stage `split`: give every image one partition."""

import json

import pandas as pd

from lesions.split import describe_split, partition_images
from lesions.stage import read_params, read_paths


def main():
    paths = read_paths(__doc__, "labels", "groups", "partitions", "counts")
    params = read_params()
    labels = pd.read_csv(paths.labels)
    groups = pd.read_csv(paths.groups)
    partitions = partition_images(labels, groups, seed=params.seed, **dict(params.split))
    partitions.to_csv(paths.partitions, index=False)
    counts = describe_split(labels, partitions, groups)
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
