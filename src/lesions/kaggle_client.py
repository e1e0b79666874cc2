"""Download a data set with Kaggle's own client, which the user has, and the user's own key."""

import importlib
import zipfile
from pathlib import Path

from lesions.data_lock import hold_to_lock
from lesions.whole import beside, remove

WAYS_OUT = (
    "Or download the archive in a browser, unpack HAM10000_metadata.csv and the folders "
    "HAM10000_images_part_1 and HAM10000_images_part_2 into data/source, and set data.source: "
    "folder; or set data.source: dataverse, which needs no account."
)


def download_archive(dataset: str, folder: Path) -> Path:
    """Give the archive of a Kaggle data set; download it where `folder` has none.

    Its SHA-256 is held to what `data.lock.yaml` has for the data set's address.

    Parameters
    ----------
    dataset : str
        ``<owner>/<name>``, as in the data set's address.
    folder : Path
        Where the archive is kept: there is one if it is whole.

    Raises
    ------
    ValueError
        Where the client is not installed, has no key, or cannot get the data set, or where the
        archive is another than the known one.
    """
    archive = folder / f"{dataset.rpartition('/')[2]}.zip"
    if not archive.exists():
        _download(dataset, archive)
    hold_to_lock(archive, f"https://www.kaggle.com/datasets/{dataset}")
    return archive


def _download(dataset, archive):
    """Have Kaggle's client fetch the archive, and let its folder appear once it is whole."""
    folder = archive.parent
    half = beside(folder, "part")  # the client goes on with what lies there
    half.mkdir(parents=True, exist_ok=True)
    client = _open_client()
    try:
        client.dataset_download_files(dataset, path=str(half), quiet=False)
    except Exception as error:  # whatever the client raises, the user is told it
        raise ValueError(
            f"data.source: kaggle needs https://www.kaggle.com/datasets/{dataset}; Kaggle's client "
            f"says: {error}. See that the key is valid and that you agreed to the data set's terms "
            f"there. {WAYS_OUT}"
        ) from error
    if not zipfile.is_zipfile(half / archive.name):
        raise ValueError(
            f"Kaggle's archive must arrive whole; {half / archive.name} is no whole zip archive; "
            f"run again, and the client goes on with it, or delete it. {WAYS_OUT}"
        )
    remove(folder)
    half.rename(folder)


def _open_client():
    """Give Kaggle's client with the user's key; without a key it would end the process."""
    try:
        client = importlib.import_module("kaggle.api.kaggle_api_extended").KaggleApi()
    except ImportError as error:
        raise ValueError(
            "data.source: kaggle needs Kaggle's own client, which is not installed; run "
            f"'.venv/bin/pip install kaggle'. {WAYS_OUT}"
        ) from error
    try:
        client.authenticate()
    except (SystemExit, OSError, ValueError) as error:
        raise ValueError(
            "data.source: kaggle needs your key; there is none: make one at "
            "https://www.kaggle.com/settings (Create New Token) and put it into "
            f"~/.kaggle/kaggle.json, or set KAGGLE_USERNAME and KAGGLE_KEY. {WAYS_OUT}"
        ) from error
    return client
