"""Where downloads are kept, for all clones on a machine; the error of one that cannot be had."""

import os
from pathlib import Path

import pooch

CACHE = "LESIONS_DOWNLOADS"  # the environment variable that names another cache folder


class DownloadError(ValueError):
    """A file cannot be had; the message says which, why, and what to do."""


def cache_folder() -> Path:
    """Give the folder of downloads: `LESIONS_DOWNLOADS`, or `lesions` in the user's cache."""
    return Path(os.environ.get(CACHE) or pooch.os_cache("lesions")).expanduser().resolve()
