"""What a web server's answer means: the file, a refusal, or what may be gone at the next try."""

from urllib.parse import urljoin, urlsplit

import requests

from lesions.cache import DownloadError

ELSEWHERE = (
    "fetch it in a browser and set data.source: folder (for a set to test on, data.external), as "
    "README.md says"
)


class AgainError(Exception):
    """What may be gone at the next try."""


class Session(requests.Session):
    """A session that does not follow https to http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Give the address that an answer points to; refuse one that is open where it was not."""
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


def total_size(answer: requests.Response) -> int | None:
    """Give the size of the whole file that a Content-Range states; nothing where none does."""
    size = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else None


def version(answer: requests.Response) -> str:
    """Give what names this version of the file, for If-Range; '' where nothing does for sure."""
    mark = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if mark.startswith("W/") or not mark else mark


def refuse_status(url: str, answer: requests.Response) -> None:
    """Tell what is for ever from what may be gone at the next try.

    Raises
    ------
    DownloadError
        Where another try would end as this one did.
    AgainError
        Where it may not.
    """
    code, said = answer.status_code, f"{answer.status_code} {answer.reason}"
    if code in (200, 206):
        return
    if code in (408, 416, 425, 429) or code >= 500:
        raise AgainError(said)
    if code in (404, 410):
        advice = "look for the file's new address"
    elif code in (401, 403, 407):
        advice = f"it wants a permission: {ELSEWHERE}"
    else:
        advice = "see what a browser shows there"
    raise DownloadError(f"{url} must be there; the server says {said}; {advice}.")


def refuse_page(url: str, answer: requests.Response, first: bytes) -> None:
    """Refuse the page of a login, of a proxy or of a fault, sent as if it were the file.

    Raises
    ------
    DownloadError
        Where the type that is stated or the first bytes are those of a page.
    """
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    start = first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if kind == "text/html" or start.startswith((b"<!doctype html", b"<html")):
        raise DownloadError(
            f"{url} must give a file; it gives a web page ({kind or 'of no stated type'}), as a "
            "login or a proxy does; open it in a browser to see what it wants."
        )
