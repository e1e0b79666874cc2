"""The SHA-256 of every download, in `data.lock.yaml`: the first one met is the right one."""

import hashlib
from pathlib import Path

import yaml

from lesions.cache import DownloadError

# Side by side with dvc.lock, and no dep or out of any stage. As an out DVC would delete it before
# each run, and with it what it protects; as a dep, the run that adds a line would change its own
# dep. What was downloaded is watched by DVC all the same: dvc.lock has the hash of data/raw.
LOCK = Path("data.lock.yaml")


def hold_to_lock(path: Path, url: str, *, lock: Path = LOCK) -> None:
    """Compare a file's SHA-256 with what `lock` has for the URL that it came from.

    Where `lock` has none, the sum is printed and written there, so that the next one is compared.

    Raises
    ------
    DownloadError
        Where it is another.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    known = read_lock(lock).get(url, found).lower()
    if found != known:
        raise DownloadError(
            f"a download must be the file whose SHA-256 is known; {path}, of {url}, has {found}, "
            f"and {lock} says {known}: delete it and run again in case it was damaged on its way; "
            f"if the file was changed on purpose, correct {lock}; else do not use it."
        )
    if url not in read_lock(lock):
        print(f"SHA-256 of {url}, met for the first time:\n{found}\nIt stands in {lock} from now.")
        _write_lock(lock, {**read_lock(lock), url: found})


def read_lock(lock: Path) -> dict[str, str]:
    """Give the SHA-256 of every URL in `lock`; nothing where there is no such file.

    Raises
    ------
    DownloadError
        Where it is no mapping of text to text.
    """
    if not lock.exists():
        return {}
    try:
        content = yaml.safe_load(lock.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DownloadError(
            f"{lock} must be YAML in UTF-8; {error}; run 'git checkout {lock}', or delete it if it "
            "was never committed."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise DownloadError(
            f"{lock} must have lines of url: SHA-256; it has something else; run "
            f"'git checkout {lock}', or delete it if it was never committed."
        )
    return content


def _write_lock(lock, sums):
    """Write all lines, sorted, at once."""
    head = "# The SHA-256 of what was downloaded, as it was first met; commit it.\n"
    new = lock.with_name(f"{lock.name}.new")
    new.write_text(head + yaml.safe_dump(sums, width=1000), encoding="utf-8")
    new.replace(lock)
