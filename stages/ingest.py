"""Stage `ingest`: bring the photographs and metadata of a set into one layout."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.datasets.ingest import ingest_set


def main():
    paths = read_paths(__doc__, "name", "source", "raw")
    params = read_params()
    settings = params.sets[paths.name].source.model_dump(exclude={"path"})
    codes = params.classes.codes
    ingest_set(paths.raw, name=paths.name, codes=codes, path=paths.source, **settings)


if __name__ == "__main__":
    main()
