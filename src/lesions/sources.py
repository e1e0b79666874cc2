"""Where the photographs come from: each source gives a folder for `lesions.ingestion`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lesions.cache import cache_folder
from lesions.download import download
from lesions.kaggle_client import download_archive
from lesions.medmnist import find_arrays, write_photographs
from lesions.taxonomy import METADATA, PARTS
from lesions.whole import scratch
from lesions.zips import list_members, unpack, unpack_file

DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile/"
# Harvard Dataverse, doi:10.7910/DVN/DBW86T: name to URL (of its number there) and SHA-256, which
# the first download adds to data.lock.yaml.
HAM10000 = {
    "HAM10000_images_part_1.zip": (f"{DATAVERSE}3172585", None),
    "HAM10000_images_part_2.zip": (f"{DATAVERSE}3172584", None),
    "HAM10000_metadata.tab": (f"{DATAVERSE}4338392", None),
}
ISIC_2018 = {  # the test part of its task 3
    "ISIC2018_Task3_Test_Images.zip": (f"{DATAVERSE}3855824", None),
    "ISIC2018_Task3_Test_GroundTruth.tab": (f"{DATAVERSE}6924466", None),
}
KAGGLE = "kmader/skin-cancer-mnist-ham10000"
# What messages about a source's files name as the setting to look at.
SETTINGS = {
    "folder": "data.path",
    "medmnist": "data.path",
    "url": "data.files",
    "dataverse": "data.source",
    "kaggle": "data.source",
}


@contextmanager
def open_source(
    source: str, *, path: Path, files: Mapping[str, tuple[str, str | None]], raw: Path
) -> Iterator[Path]:
    """Give a folder of photographs and metadata, as long as the block lasts.

    Parameters
    ----------
    source : {'folder', 'dataverse', 'url', 'kaggle', 'medmnist'}
        `data.source` of params.yaml.
    path : Path
        The user's folder, or DermaMNIST's arrays; only `folder` and `medmnist` look there.
    files : mapping
        Name to URL and SHA-256 (or nothing) of what the source `url` downloads.
    raw : Path
        Where the photographs are to go: what has to be unpacked is unpacked beside it, and linked.

    Raises
    ------
    ValueError
        Where the files cannot be had.
    """
    if source == "folder":
        yield path
        return
    with scratch(raw) as folder:
        if source == "dataverse":
            gather(HAM10000, folder)
        elif source == "url":
            gather(files, folder)
        elif source == "kaggle":
            unpack_kaggles(download_archive(KAGGLE, cache_folder() / "kaggle"), folder)
        else:
            write_photographs(find_arrays(path), folder)
        try:
            yield folder
        except ValueError as error:
            if source not in ("dataverse", "url"):
                raise
            raise ValueError(
                f"{error} The files were downloaded to {cache_folder()}; where the server has "
                "mended one since, delete it there, delete its line in data.lock.yaml or correct "
                "its sha256 in params.yaml, and run again."
            ) from error


def gather(files: Mapping[str, tuple[str, str | None]], folder: Path) -> None:
    """Download files, given as name to URL and SHA-256, and link them into `folder`.

    Links, so that the cache, which other clones share, holds the only copy.
    """
    for name, (url, sha256) in files.items():
        (folder / name).symlink_to(download(url, name, sha256=sha256))


def unpack_kaggles(archive: Path, folder: Path) -> None:
    """Unpack Kaggle's archive of HAM10000 into `folder`, each photograph once.

    It holds all photographs a second time, in folders whose names are in small letters.
    """
    doubles = {part.lower() for part in PARTS}
    targets = {}
    for image in list_members(archive.parent):
        within = PurePosixPath(image.place).parent.name
        if image.path == archive and within not in doubles:
            part = folder / (within if within in PARTS else PARTS[0])
            part.mkdir(exist_ok=True)
            targets[image] = part / f"{image.image_id}.jpg"
    unpack(targets)
    unpack_file(archive, METADATA, folder / METADATA)
