"""The cache of downloads, which all clones on a machine share, and their recorded SHA-256."""

import fcntl
import hashlib
import os
from pathlib import Path

import pooch
from ruamel.yaml import YAML, YAMLError

from lesions.datasets.download.transfer import CACHE_VARIABLE, DownloadError, ResumingDownloader

# Neither a dep nor an out of any stage. DVC would delete an out before each run, and with it what
# it protects; as a dep, the run that adds a line would change its own dep.
LOCK = Path("data.lock.yaml")
pooch.get_logger().setLevel("WARNING")  # we print unknown hashes ourselves


def cache_folder() -> Path:
    """Return the folder of downloads: `LESIONS_DOWNLOADS`, or `lesions` in the user's cache."""
    folder = os.environ.get(CACHE_VARIABLE) or pooch.os_cache("lesions")
    return Path(folder).expanduser().resolve()


def download(
    url: str, name: str, *, sha256: str | None = None, lock: Path = LOCK, **options
) -> Path:
    """Return the path of a URL's file in the cache, downloading it if it is not there yet.

    Every call compares its SHA-256 with `sha256`, or else with the one that `lock` has for the URL.
    If neither is known, it is computed, printed and recorded in `lock`.

    Parameters
    ----------
    url, name : str
        Address (http or https; proxies as in the environment) and file name in the cache.
    sha256 : str, optional
        64 hexadecimal digits.
    lock : Path
        YAML file of URL: SHA-256; it need not exist.
    **options
        Of `ResumingDownloader`: `attempts`, `backoff`, `read_timeout`, `min_speed`.

    Raises
    ------
    DownloadError
        If the file cannot be downloaded, or has another SHA-256.
    """
    known = (sha256 or read_checksums(lock).get(url, "")).lower() or None
    folder = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:16]
    downloader = ResumingDownloader(folder / f"{name}.part", known is not None, **options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # one process at a time; a kill unlocks it
            path = pooch.retrieve(url, known, name, folder, downloader=downloader)
    except (NotADirectoryError, FileExistsError) as error:
        raise DownloadError(f"{error}; set {CACHE_VARIABLE} to a folder") from error
    except DownloadError:
        raise
    except ValueError as error:  # pooch's, with both hashes; it keeps no such file
        source = "sha256 in params.yaml" if sha256 else str(lock)
        raise DownloadError(
            f"Wrong SHA-256 of {url}, compared with {source}: {error} Run again in case it was "
            f"damaged; correct {source} if it was changed on purpose; else do not use it."
        ) from error
    if known is None:
        sums = read_checksums(lock) | {url: pooch.file_hash(path)}
        new = lock.with_name(f"{lock.name}.new")
        lines = [f"{key}: '{value}'\n" for key, value in sorted(sums.items())]
        new.write_text("".join(lines), encoding="utf-8")
        new.replace(lock)
        print(f"First download of {url}; {lock} has its SHA-256 now, commit it:\n{sums[url]}")
    return Path(path)


def read_checksums(lock: Path) -> dict[str, str]:
    """Return the SHA-256 of every URL in `lock`; raise DownloadError if it is no such file."""
    try:
        content = YAML(typ="safe", pure=True).load(lock) if lock.exists() else None
        return {url: sha256.lower() for url, sha256 in (content or {}).items()}
    except (YAMLError, UnicodeDecodeError, AttributeError) as error:
        fix = f"run 'git checkout {lock}', or delete it if it was never committed"
        raise DownloadError(f"{lock} does not map URLs to SHA-256; {fix}") from error
