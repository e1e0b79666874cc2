"""Sources of photographs: each becomes a folder for `lesions.datasets.ingest`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lesions.datasets.atomic import temporary_folder
from lesions.datasets.download.cache import cache_folder, download
from lesions.datasets.download.kaggle import link_kaggle_dataset
from lesions.datasets.ham10000 import DATAVERSE_FILES
from lesions.datasets.medmnist import find_arrays, write_photographs


@contextmanager
def open_source(
    kind: str,
    path: Path,
    *,
    raw: Path,
    setting: str,
    dataset: str | None = None,
    files: Sequence[Mapping[str, str | None]] = (),
) -> Iterator[Path]:
    """Yield a folder with the photographs and metadata of a source.

    Parameters
    ----------
    kind : {'folder', 'dataverse', 'url', 'kaggle', 'medmnist'}
        The kind of source.
    path : Path
        For `folder`, that folder; for `medmnist`, the arrays.
    raw : Path
        Where the photographs will go; a temporary folder is created beside it.
    setting : str
        The setting that leads to the photographs, for messages.
    dataset : str, optional
        For `dataverse`, a key of `DATAVERSE_FILES`.
    files : sequence of mappings
        For `url`, the `url` and `sha256` (or None) of each file.
    """
    if kind == "folder":
        yield path
        return
    with temporary_folder(raw) as folder:
        if kind == "medmnist":
            write_photographs(find_arrays(path, setting=setting), folder)
        elif kind == "kaggle":
            link_kaggle_dataset(folder)
        elif kind == "dataverse":
            _link_downloads(DATAVERSE_FILES[dataset], folder)
        else:
            _link_downloads({_name(f["url"]): (f["url"], f["sha256"]) for f in files}, folder)
        try:
            yield folder
        except ValueError as error:
            if kind not in ("dataverse", "url"):
                raise
            raise ValueError(
                f"{error}. The files were downloaded to {cache_folder()}; if the server has "
                "corrected one, delete it there, delete its line in data.lock.yaml or correct its "
                "sha256 in params.yaml, and run again."
            ) from error


def _link_downloads(files, folder):
    """Download files, name to URL and SHA-256, and link them: only the cache holds a copy."""
    for name, (url, sha256) in files.items():
        (folder / name).symlink_to(download(url, name, sha256=sha256))


def _name(url):
    return unquote(urlsplit(url).path).rpartition("/")[2]
