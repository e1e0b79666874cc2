"""Stage `ingest`: bring the photographs and their metadata into HAM10000's own layout."""

from lesions.stage import read_params, read_paths

from lesions.demo import write_demo
from lesions.ingestion import ingest_folder
from lesions.sources import SETTINGS, open_source
from lesions.whole import replacing


def main():
    paths = read_paths(__doc__, "source", "raw")
    data = read_params().data
    if data.source == "demo":
        with replacing(paths.raw) as raw:
            write_demo(raw, n_images=data.n_images, seed=data.seed)
        return
    files = {file.name: (file.url, file.sha256) for file in data.files}
    setting = SETTINGS[data.source]
    with open_source(data.source, path=paths.source, files=files, raw=paths.raw) as folder:
        ingest_folder(folder, paths.raw, extra_images=data.extra_images, setting=setting)


if __name__ == "__main__":
    main()
