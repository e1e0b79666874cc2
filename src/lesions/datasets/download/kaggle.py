"""HAM10000 from Kaggle, with Kaggle's own client and the user's own account."""

import importlib
import os
from pathlib import Path

from lesions.datasets.download.cache import cache_folder
from lesions.datasets.ham10000 import IMAGE_FOLDERS, KAGGLE_DATASET, METADATA


def link_kaggle_dataset(folder: Path) -> None:
    """Download HAM10000 unless it is in the cache, and link metadata and images into `folder`.

    kagglehub caches below `KAGGLEHUB_CACHE`, resumes, unpacks and checks the download. The dataset
    has every image a second time, in folders with lower-case names; these are not linked.

    Raises
    ------
    ValueError
        If kagglehub is not installed or the download fails.
    """
    try:
        kagglehub = importlib.import_module("kagglehub")
    except ImportError as error:
        raise ValueError(
            "A source of kind `kaggle` needs Kaggle's client; run '.venv/bin/pip install "
            "kagglehub', or use kind `dataverse`, which needs no account"
        ) from error
    os.environ.setdefault("KAGGLEHUB_CACHE", str(cache_folder() / "kagglehub"))
    try:
        downloaded = Path(kagglehub.dataset_download(KAGGLE_DATASET)).resolve()
    except Exception as error:  # kagglehub's exceptions have no common class
        raise ValueError(
            f"Download of https://www.kaggle.com/datasets/{KAGGLE_DATASET} failed: {error}; check "
            "your key (https://www.kaggle.com/settings) and that you accepted the dataset's terms, "
            "or use kind `dataverse`, which needs no account"
        ) from error
    for name in (METADATA, *IMAGE_FOLDERS):
        (folder / name).symlink_to(downloaded / name)
