"""Download one file into a cache that all clones on a machine share, whole or not at all."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pooch

from lesions.cache import CACHE, DownloadError, cache_folder
from lesions.data_lock import LOCK, hold_to_lock, read_lock
from lesions.transfer import Patience
from lesions.tries import fetch

pooch.get_logger().setLevel("WARNING")  # what it would say of unknown hashes, we say ourselves


def download(
    url: str,
    name: str,
    *,
    sha256: str | None = None,
    lock: Path = LOCK,
    patience: Patience | None = None,
) -> Path:
    """Give the path of a URL's file in the cache; download it where it is not there yet.

    Every time the file's SHA-256 is compared with `sha256`, or, where that is not given, with what
    `lock` has for the URL. Where neither knows it, it is computed, printed and written to `lock`.

    Parameters
    ----------
    url : str
        http or https. The proxies of the usual environment variables are used.
    name : str
        What the file is to be called.
    sha256 : str, optional
        64 hexadecimal digits.
    lock : Path
        A YAML file of URL: SHA-256; it need not exist.
    patience : Patience, optional
        How often and how long to try.

    Returns
    -------
    Path
        ``<cache>/<a digest of the URL>/<name>``: what is called so is whole, and was checked. A
        broken download stays beside it as ``<name>.part`` and is taken up by the next one.

    Raises
    ------
    DownloadError
        Where the file cannot be had, or is not the one with that SHA-256.
    """
    known = (sha256 or read_lock(lock).get(url, "")).lower() or None
    place = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:16]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except NotADirectoryError as error:
        raise DownloadError(
            f"{CACHE} must name a folder, or one that can be made; {cache_folder()} is a file, or "
            "lies below one; name another."
        ) from error
    downloader = partial(fetch, part=place / f"{name}.part", sha256=known, patience=patience)
    with _alone(place):
        try:
            path = Path(pooch.retrieve(url, known, name, place, downloader=downloader))
        except DownloadError:
            raise
        except ValueError as error:  # pooch's own: both sums, and that nothing was kept
            where = "the sha256 in params.yaml" if sha256 else str(lock)
            raise DownloadError(
                f"a download must be the file whose SHA-256 is known; of {url}: {error} It was "
                f"compared with {where}: run again in case it was damaged on its way; if the file "
                f"was changed on purpose, correct {where}; else do not use it."
            ) from error
    if known is None:
        hold_to_lock(path, url, lock=lock)
    return path


@contextmanager
def _alone(place) -> Iterator[None]:
    """Let one process at a time download into a folder; the system unlocks if one is killed."""
    with (place / ".lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
