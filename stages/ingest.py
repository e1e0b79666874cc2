"""Stage `ingest`: bring the photographs and metadata of a set into HAM10000's layout."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.datasets.ingest import ingest_set


def main():
    paths = read_paths(__doc__, "name", "source", "raw")
    source = read_params().sets[paths.name].source
    settings = source.model_dump(exclude={"path"})
    ingest_set(paths.raw, name=paths.name, path=paths.source, **settings)


if __name__ == "__main__":
    main()
