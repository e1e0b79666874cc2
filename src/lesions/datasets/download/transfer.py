"""Receive a file over HTTP: retry, resume, and refuse what is not the file."""

import errno
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.exceptions import InvalidSchema, InvalidURL, SSLError, TooManyRedirects
from tqdm import tqdm
from urllib3 import Retry
from urllib3.exceptions import HTTPError

CACHE_VARIABLE = "LESIONS_DOWNLOADS"  # environment variable: the folder of downloads
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # disk, quota, limit of a file's size
TRANSIENT = {408, 425, 429, *range(500, 600)}  # status codes worth another attempt
MANUAL = "download it in a browser and use a source of kind `folder`"
ADVICE = dict.fromkeys((404, 410), "look for its new URL")
ADVICE |= dict.fromkeys((401, 403, 407), f"it requires permission: {MANUAL}")


class DownloadError(ValueError):
    """A file cannot be downloaded."""


class _Retry(Retry):  # urllib3's own does not wait before the first retry
    def get_backoff_time(self) -> float:
        return self.backoff_factor * 2 ** (len(self.history) - 1)


@dataclass(frozen=True)
class ResumingDownloader:
    """Downloader for `pooch.retrieve`, whose own starts from zero after each failure.

    urllib3's Retry counts and spaces the attempts. It is not left to an adapter of requests, which
    retries until the headers arrive: most failures of a large file come later.
    """

    unfinished: Path  # grows, and is kept for the next download
    has_hash: bool  # the hash is known, so that a file without ETag can be resumed as well
    attempts: int = 6
    backoff: float = 1.0  # seconds before the first retry, doubled for each further one
    read_timeout: float = 60.0  # seconds without data, and over which the speed is measured
    min_speed: int = 1000  # bytes per second

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Download `url` to `output_file`, or raise DownloadError."""
        retry = _Retry(self.attempts - 1, backoff_factor=self.backoff)
        with requests.Session() as session:
            if url.startswith("https:"):
                session.adapters.pop("http://")  # so that a redirect to http fails
            while failure := self._attempt(session, url):
                message = f"Download of {url} failed ({failure})"
                if not retry.total:
                    resume = f"run again later to resume after {self._n_bytes()} bytes"
                    raise DownloadError(f"{message}, {self.attempts} times; {resume}, or {MANUAL}")
                retry = retry.increment("GET", url)
                wait, n = retry.get_backoff_time(), self.attempts - retry.total
                print(f"{message}; retrying in {wait:g} s ({n}/{self.attempts})", file=sys.stderr)
                retry.sleep()
        self.unfinished.replace(output_file)
        self._version_file().unlink(missing_ok=True)

    def _attempt(self, session, url) -> str:
        """Request what is missing; return why that failed, '' if the file is complete."""
        options = {"stream": True, "timeout": (15, self.read_timeout)}  # seconds; 15 to connect
        try:
            with session.get(url, headers=self._headers(), **options) as response:
                self._receive(url, response)
        except (SSLError, InvalidSchema, InvalidURL, TooManyRedirects) as error:
            advice = "check the URL, where it redirects to, and its certificate"
            raise DownloadError(f"{url} cannot be requested: {error}; {advice}") from error
        except (requests.RequestException, HTTPError) as error:
            return f"{type(error).__name__}: {_root_cause(error)}"
        return ""

    def _headers(self) -> dict[str, str]:
        """Return the headers that request what comes after the unfinished file."""
        headers = {"Accept-Encoding": "identity"}  # or the bytes counted would not be the file's
        if self._version_file().exists():
            headers["If-Range"] = self._version_file().read_text(encoding="utf-8")
        elif not self.has_hash:  # the file may have changed
            self.unfinished.unlink(missing_ok=True)
        if self._n_bytes():
            headers["Range"] = f"bytes={self._n_bytes()}-"
        return headers

    def _receive(self, url, response):
        """Append the body of a response to the unfinished file."""
        status, n_bytes = response.status_code, self._n_bytes()
        content_range = response.headers.get("Content-Range")
        if status == 416 and content_range == f"bytes */{n_bytes}":
            return  # interrupted after the last byte
        if status in TRANSIENT:
            raise requests.ConnectionError(f"{status} {response.reason}")
        if status not in (200, 206, 416):
            advice = ADVICE.get(status, "open it in a browser")
            raise DownloadError(f"Download of {url} failed ({status} {response.reason}); {advice}")
        if status == 200:
            n_bytes = 0  # the server ignores ranges, or the file has changed
        remaining = response.raw.length_remaining
        total = None if remaining is None else n_bytes + remaining
        if status != 200 and content_range != f"bytes {n_bytes}-{(total or 0) - 1}/{total}":
            self.unfinished.unlink(missing_ok=True)  # longer than the file, or another range
            raise requests.ConnectionError(f"the server sent {status}, {content_range}")
        try:
            self._write(url, response, n_bytes=n_bytes, total=total)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise DownloadError(
                f"Disk full: {self.unfinished} has {self._n_bytes()} of {total or 'unknown'} bytes,"
                f" {shutil.disk_usage(self.unfinished.parent).free} more are free; free space and "
                f"run again to resume, or set {CACHE_VARIABLE} to another folder"
            ) from error

    def _write(self, url, response, *, n_bytes, total):
        chunks = self._chunks(response)
        first = next(chunks, b"")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        start = b"" if n_bytes else first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if kind == "text/html" or start.startswith((b"<!doctype html", b"<html")):
            raise DownloadError(f"{url} is a web page ({kind}), not a file; open it in a browser")
        if total is not None and total - n_bytes > shutil.disk_usage(self.unfinished.parent).free:
            raise OSError(errno.ENOSPC, "too little space")
        if not n_bytes:
            version = response.headers.get("ETag", "W/")
            if version.startswith("W/"):  # weak: the bytes may differ
                version = response.headers.get("Last-Modified", "")
            self._version_file().unlink(missing_ok=True)
            if version:
                self._version_file().write_text(version, encoding="utf-8")
        bar = {"total": total, "initial": n_bytes, "desc": self.unfinished.stem, "disable": None}
        mode = "ab" if n_bytes else "wb"
        with self.unfinished.open(mode) as file, tqdm.wrapattr(file, "write", **bar) as output:
            output.write(first)
            for chunk in chunks:
                output.write(chunk)

    def _chunks(self, response):
        """Yield the body as it arrives; give up if it is too slow."""
        start, n_bytes = time.monotonic(), 0
        # read1, not iter_content, which waits for a full chunk and so never notices a slow server.
        while chunk := response.raw.read1(1 << 20, decode_content=False):
            yield chunk
            n_bytes, seconds = n_bytes + len(chunk), time.monotonic() - start
            if seconds >= self.read_timeout:
                if n_bytes < self.min_speed * seconds:
                    raise requests.Timeout(f"only {n_bytes} bytes in {seconds:.0f} s")
                start, n_bytes = time.monotonic(), 0

    def _n_bytes(self) -> int:
        return self.unfinished.stat().st_size if self.unfinished.exists() else 0

    def _version_file(self) -> Path:
        return self.unfinished.with_name(f"{self.unfinished.name}.version")


def _root_cause(error) -> str:
    """Return the innermost message of a failed connection, without the connection's name."""
    causes = [c for c in (*error.args, getattr(error, "reason", None)) if isinstance(c, Exception)]
    return _root_cause(causes[-1]) if causes else str(error).rpartition("): ")[2]
