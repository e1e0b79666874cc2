"""Download one file into a cache that all clones on a machine share, whole or not at all."""

import errno
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import pooch
import requests
import urllib3
import yaml
from tqdm import tqdm

CACHE = "LESIONS_DOWNLOADS"  # the environment variable that names another cache folder
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # disk full, quota, limit of a file's size
CHUNK = 1 << 20  # bytes
ELSEWHERE = (
    "fetch it in a browser and set data.source: folder (for a set to test on, data.external), as "
    "README.md says"
)

# Side by side with dvc.lock, and no dep or out of any stage. As an out DVC would delete it before
# each run, and with it what it protects; as a dep, the run that adds a line would change its own
# dep. What was downloaded is watched by DVC all the same: dvc.lock has the hash of data/raw.
LOCK = Path("data.lock.yaml")

pooch.get_logger().setLevel("WARNING")  # what it would say of unknown hashes, we say ourselves


class DownloadError(ValueError):
    """A file cannot be had; the message says which, why, and what to do."""


class Patience(NamedTuple):
    """How long to try: `tries` requests, `wait` · 2ⁿ seconds between them, and time-outs."""

    tries: int = 6
    wait: float = 1.0
    connect: float = 15.0  # seconds
    read: float = 60.0  # seconds without a byte, and over which `slowest` is measured
    slowest: int = 1000  # bytes a second


def cache_folder() -> Path:
    """Give the folder of downloads: `LESIONS_DOWNLOADS`, or `lesions` in the user's cache."""
    return Path(os.environ.get(CACHE) or pooch.os_cache("lesions")).expanduser().resolve()


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
    fetch = partial(_fetch, part=place / f"{name}.part", sha256=known, patience=patience)
    with _alone(place):
        try:
            path = Path(pooch.retrieve(url, known, name, place, downloader=fetch))
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


@contextmanager
def _alone(place) -> Iterator[None]:
    """Let one process at a time download into a folder; the system unlocks if one is killed."""
    with (place / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(url, output_file, _pooch, *, part, sha256, patience):
    """Download for pooch, which makes the temporary file, checks its hash and moves it.

    A downloader of our own, because pooch's starts again from nothing after each fault: it does
    not resume, has no back-off for a busy server, and follows https to http.
    """
    patience = patience or Patience()
    with _Session() as session:
        for n in range(1, patience.tries + 1):
            try:
                _receive(session, url, part, known=sha256 is not None, patience=patience)
                break
            except _AgainError as error:
                reason = str(error)
            except requests.exceptions.SSLError as error:
                raise DownloadError(
                    f"the certificate of {url} must be good; it is not: {error}; see that clock "
                    "and proxy are right."
                ) from error
            except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as e:
                reason = f"{type(e).__name__}: {_innermost(e)}"
            except requests.RequestException as error:
                raise DownloadError(f"{url} must be a URL that can be asked; {error}.") from error
            if n == patience.tries:
                raise _given_up(url, part, reason, tries=n)
            wait = patience.wait * 2 ** (n - 1)
            said = f"{url} was not sent whole: {reason}; try {n + 1} of {patience.tries}"
            print(f"{said} comes in {wait:g} s.", file=sys.stderr)
            time.sleep(wait)
    part.replace(output_file)
    _validator(part).unlink(missing_ok=True)


def _innermost(error) -> str:
    """Give what a failed connection comes down to, without the layers that tell of one another."""
    parts = (*error.args, getattr(error, "reason", None))
    within = [part for part in parts if isinstance(part, Exception)]
    if within:
        return _innermost(within[-1])
    return str(error).rpartition("): ")[2]  # what comes before names the connection


def _given_up(url, part, reason, *, tries):
    """Say what was tried, what there is of the file, and the ways out."""
    have = part.stat().st_size if part.exists() else 0
    kept = f"{have} bytes are kept in {part}" if have else "nothing of it came"
    again = "run again later, and it goes on from there" if have else "run again later"
    return DownloadError(
        f"{url} must be sent whole; in {tries} tries it was not, at last: {reason}; {kept}; "
        f"{again}, or {ELSEWHERE}."
    )


class _AgainError(Exception):
    """What may be gone at the next try."""


class _Session(requests.Session):
    """A session that does not follow https to http."""

    def get_redirect_target(self, resp):
        target = super().get_redirect_target(resp)
        if target:
            to = urljoin(resp.url, target)
            if urlsplit(resp.url).scheme == "https" and urlsplit(to).scheme != "https":
                resp.close()
                raise DownloadError(
                    f"a download must stay encrypted; {resp.url} points to {to}, which is not; "
                    "nothing was fetched from there; find an address that stays with https."
                )
        return target


def _receive(session, url, part, *, known, patience):
    """Ask once for what is missing of the file, and append it to `part`."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # or the bytes counted would not be the file's
    if have:
        mark = _validator(part)
        if mark.exists():
            headers |= {"Range": f"bytes={have}-", "If-Range": mark.read_text()}
        elif known:  # no telling whether the file is still the same, but its hash will
            headers["Range"] = f"bytes={have}-"
        else:
            have = 0
    timeout = (patience.connect, patience.read)
    with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == 416 and _total(answer) == have:
            return  # killed after the last byte
        _refuse_status(url, answer, part)
        if answer.status_code == 200:
            have = 0  # ranges are unknown to this server, or the file is another by now
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _AgainError(
                f"the server sent the range {answer.headers.get('Content-Range')}, not {have}-"
            )
        length = answer.headers.get("Content-Length", "")
        total = _total(answer) or (have + int(length) if length.isdigit() else None)
        _append(answer, url, part, have=have, total=total, patience=patience)


def _validator(part):
    """Give the file that keeps what names this version of a half-received file."""
    return part.with_name(f"{part.name}.version")


def _total(answer):
    """Give the size that a Content-Range states; nothing where it states none."""
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _refuse_status(url, answer, part):
    """Tell what is for ever from what may be gone at the next try."""
    code, said = answer.status_code, f"{answer.status_code} {answer.reason}"
    if code in (200, 206):
        return
    if code == 416:  # what we have is longer than the file
        part.unlink(missing_ok=True)
        raise _AgainError(said)
    if code in (408, 425, 429) or code >= 500:
        raise _AgainError(said)
    if code in (404, 410):
        advice = "look for the file's new address"
    elif code in (401, 403, 407):
        advice = f"it wants a permission: {ELSEWHERE}"
    else:
        advice = "see what a browser shows there"
    raise DownloadError(f"{url} must be there; the server says {said}; {advice}.")


def _append(answer, url, part, *, have, total, patience):
    """Write the body behind the first `have` bytes of `part`; refuse a page and a full disk."""
    chunks = _chunks(answer, patience)
    first = next(chunks, b"")
    _refuse_page(url, answer, b"" if have else first)
    if total is not None and total - have > shutil.disk_usage(part.parent).free:
        raise _no_room(part, total)
    mark = answer.headers.get("ETag", "")
    mark = answer.headers.get("Last-Modified", "") if mark.startswith("W/") or not mark else mark
    if not have:
        _validator(part).unlink(missing_ok=True)
        if mark:
            _validator(part).write_text(mark)
    bar = tqdm(total=total, initial=have, desc=part.stem, unit="B", unit_scale=True, disable=None)
    try:
        with bar, part.open("ab" if have else "wb") as file:
            file.write(first)
            bar.update(len(first))
            for chunk in chunks:
                file.write(chunk)
                bar.update(len(chunk))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _no_room(part, total) from error
        raise
    have = part.stat().st_size
    if total is not None and have != total:
        if have > total:
            part.unlink()
        raise _AgainError(f"the connection ended after {have} of {total} bytes")


def _chunks(answer, patience) -> Iterator[bytes]:
    """Give the body as it comes; stop waiting for one that trickles."""
    began, came = time.monotonic(), 0
    # read1, not iter_content: that waits for a full chunk, and never sees a trickle
    while chunk := answer.raw.read1(CHUNK, decode_content=False):
        yield chunk
        came += len(chunk)
        passed = time.monotonic() - began
        if passed >= patience.read:
            if came < patience.slowest * passed:
                raise _AgainError(f"only {came} bytes came in {passed:.0f} s")
            began, came = time.monotonic(), 0


def _refuse_page(url, answer, first):
    """Refuse the page of a login, of a proxy or of a fault, sent as if it were the file."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    start = first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if kind == "text/html" or start.startswith((b"<!doctype html", b"<html")):
        raise DownloadError(
            f"{url} must give a file; it gives a web page ({kind or 'of no stated type'}), as a "
            "login or a proxy does; open it in a browser to see what it wants."
        )


def _no_room(part, total):
    """Say where the disk is full and how much it must hold."""
    have = part.stat().st_size if part.exists() else 0
    needed = "more" if total is None else f"{total - have} bytes more, {total} in all"
    room = "make room, and it goes on from there" if have else "make room"
    return DownloadError(
        f"there must be room for the download; {part.parent} has "
        f"{shutil.disk_usage(part.parent).free} bytes free, and {part.name} ({have} bytes so far) "
        f"needs {needed}; {room}, or name another folder in {CACHE}."
    )
