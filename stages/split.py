"""Stage `split`: give every image one partition."""

from lesions.stage import read_params, read_paths

import json

from lesions.split import describe_split, partition_images
from lesions.tables import read_table


def main():
    paths = read_paths(__doc__, "labels", "groups", "partitions", "counts")
    params = read_params()
    labels = read_table(paths.labels)
    groups = read_table(paths.groups)
    partitions = partition_images(labels, groups, seed=params.seed, **dict(params.split))
    partitions.to_csv(paths.partitions, index=False)
    counts = describe_split(labels, partitions, groups)
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
