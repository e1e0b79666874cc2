"""Stage `ingest`: bring the photographs and their metadata into HAM10000's own layout."""

from lesions.demo import write_demo
from lesions.ingestion import ingest_folder
from lesions.stage import read_params, read_paths


def main():
    paths = read_paths(__doc__, "source", "raw")
    data = read_params().data
    if data.source == "demo":
        write_demo(paths.raw, n_images=data.n_images, seed=data.seed)
    else:
        ingest_folder(paths.source, paths.raw, extra_images=data.extra_images)


if __name__ == "__main__":
    main()
