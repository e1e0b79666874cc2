"""Ask once for a file over HTTP, go on where an earlier answer broke off, and mind the room."""

import errno
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import requests
from tqdm import tqdm

from lesions.answers import AgainError, refuse_page, refuse_status, total_size, version
from lesions.cache import CACHE, DownloadError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # disk full, quota, limit of a file's size
CHUNK = 1 << 20  # bytes


class Patience(NamedTuple):
    """How long to try: `tries` requests, `wait` · 2ⁿ seconds between them, and time-outs."""

    tries: int = 6
    wait: float = 1.0
    connect: float = 15.0  # seconds
    read: float = 60.0  # seconds without a byte, and over which `slowest` is measured
    slowest: int = 1000  # bytes a second


def receive(
    session: requests.Session, url: str, part: Path, *, known: bool, patience: Patience
) -> None:
    """Ask once for what is missing of the file, and append it to `part`.

    Parameters
    ----------
    session : Session
        What asks.
    url : str
        http or https.
    part : Path
        What there is of the file; `version_file` of it names the version.
    known : bool
        Whether the file's hash is, so that one without a version can be taken up.
    patience : Patience
        How long to wait.

    Raises
    ------
    DownloadError
        Where another try would end as this one did.
    AgainError
        Where it may not.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # or the bytes counted would not be the file's
    if have:
        mark = version_file(part)
        if mark.exists():
            headers |= {"Range": f"bytes={have}-", "If-Range": mark.read_text(encoding="utf-8")}
        elif known:  # no telling whether the file is still the same, but its hash will
            headers["Range"] = f"bytes={have}-"
        else:
            have = 0
    timeout = (patience.connect, patience.read)
    with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == 416:
            if total_size(answer) == have:
                return  # killed after the last byte
            part.unlink(missing_ok=True)  # longer than the file
        refuse_status(url, answer)
        if answer.status_code == 200:
            have = 0  # ranges are unknown to this server, or the file is another by now
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise AgainError(
                f"the server sent the range {answer.headers.get('Content-Range')}, not {have}-"
            )
        length = answer.headers.get("Content-Length", "")
        total = total_size(answer) or (have + int(length) if length.isdigit() else None)
        _append(answer, url, part, have=have, total=total, patience=patience)


def version_file(part: Path) -> Path:
    """Give the file that keeps what names this version of a half-received file."""
    return part.with_name(f"{part.name}.version")


def _append(answer, url, part, *, have, total, patience):
    """Write the body behind the first `have` bytes of `part`; refuse a page and a full disk."""
    chunks = _chunks(answer, patience)
    first = next(chunks, b"")
    refuse_page(url, answer, b"" if have else first)
    if total is not None and total - have > shutil.disk_usage(part.parent).free:
        raise _no_room(part, total)
    if not have:
        version_file(part).unlink(missing_ok=True)
        if version(answer):
            version_file(part).write_text(version(answer), encoding="utf-8")
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
        raise AgainError(f"the connection ended after {have} of {total} bytes")


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
                raise AgainError(f"only {came} bytes came in {passed:.0f} s")
            began, came = time.monotonic(), 0


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
