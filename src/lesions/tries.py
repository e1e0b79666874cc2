"""Ask for a file again and again, until it is there or patience ends; say each try that fails."""

import sys
import time
from pathlib import Path

import requests
import urllib3

from lesions.answers import ELSEWHERE, AgainError, Session
from lesions.cache import DownloadError
from lesions.transfer import Patience, receive, version_file


def fetch(
    url: str,
    output_file: str | Path,
    _pooch: object,
    *,
    part: Path,
    sha256: str | None,
    patience: Patience | None,
) -> None:
    """Download for pooch, which makes the temporary file, checks its hash and moves it.

    A downloader of our own, because pooch's starts again from nothing after each fault: it does
    not resume, has no back-off for a busy server, and follows https to http.

    Parameters
    ----------
    url, output_file, _pooch
        What pooch gives a downloader.
    part : Path
        Where the file grows, and where a later call takes it up.
    sha256 : str or None
        If it is known, a file without a version of its own is taken up as well.
    patience : Patience or None
        How often and how long to try.

    Raises
    ------
    DownloadError
        Where the file cannot be had.
    """
    patience = patience or Patience()
    with Session() as session:
        for n in range(1, patience.tries + 1):
            failed = _try(session, url, part, known=sha256 is not None, patience=patience)
            if failed is None:
                break
            if n == patience.tries:
                raise _given_up(url, part, failed, tries=n)
            wait = patience.wait * 2 ** (n - 1)
            said = f"{url} was not sent whole: {failed}; try {n + 1} of {patience.tries}"
            print(f"{said} comes in {wait:g} s.", file=sys.stderr)
            time.sleep(wait)
    part.replace(output_file)
    version_file(part).unlink(missing_ok=True)


def _try(session, url, part, *, known, patience) -> str | None:
    """Ask for the file; give what failed where another try may help, nothing if all came."""
    try:
        receive(session, url, part, known=known, patience=patience)
    except AgainError as error:
        return str(error)
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"the certificate of {url} must be good; it is not: {error}; see that clock and proxy "
            "are right."
        ) from error
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        return f"{type(error).__name__}: {_innermost(error)}"
    except requests.RequestException as error:
        raise DownloadError(f"{url} must be a URL that can be asked; {error}.") from error
    return None


def _innermost(error) -> str:
    """Give what a failed connection comes down to, without the layers that tell of one another."""
    parts = (*error.args, getattr(error, "reason", None))
    within = [part for part in parts if isinstance(part, Exception)]
    if within:
        return _innermost(within[-1])
    return str(error).rpartition("): ")[2]  # what comes before names the connection


def _given_up(url, part, failed, *, tries):
    """Say what was tried, what there is of the file, and the ways out."""
    have = part.stat().st_size if part.exists() else 0
    kept = f"{have} bytes are kept in {part}" if have else "nothing of it came"
    again = "run again later, and it goes on from there" if have else "run again later"
    return DownloadError(
        f"{url} must be sent whole; in {tries} tries it was not, at last: {failed}; {kept}; "
        f"{again}, or {ELSEWHERE}."
    )
