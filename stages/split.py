"""Stage `split`: assign every image of a set to a partition."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.pipeline.files import read_table
from lesions.sampling.split import count_partitions, partition_images


def main():
    paths = read_paths(__doc__, "name", "labels", "groups", "partitions", "counts")
    params = read_params()
    labels, groups = read_table(paths.labels), read_table(paths.groups)
    settings = dict(params.sets[paths.name].split)
    codes = params.classes.codes
    partitions = partition_images(labels, groups, codes=codes, seed=params.seed, **settings)
    partitions.to_csv(paths.partitions, index=False)
    counts = count_partitions(labels, partitions, groups, codes=codes)
    counts.to_csv(paths.counts, index=False)


if __name__ == "__main__":
    main()
