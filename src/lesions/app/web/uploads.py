"""Files of a request: capped before they are parsed, and held in memory alone."""

import asyncio

from fastapi import HTTPException, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect

from lesions.app.photographs import Source

MAX_BYTES = 20_000_000  # of a request
MAX_FILES = 16
FIELD = "files"
BODY_SECONDS = 30  # to send a request
# What is too long is read and dropped to this length: most clients read no answer before they have
# sent everything.
DROPPED_BYTES = 10 * MAX_BYTES
END = 1000  # bytes that are searched for the last boundary, which something may follow

# Starlette would write a file above this size to the disk.
MultiPartParser.spool_max_size = MAX_BYTES + 1


async def read_files(request: Request) -> list[Source]:
    """Return the files of a multipart request; their names are only repeated, never opened.

    Raises
    ------
    HTTPException
        400 for a body that is not as its type says, 408 if it takes too long, 413 if it is too
        large, 415 for another type, 422 for no or too many files.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise HTTPException(
            415,
            f"The request is {kind.decode('latin-1') or 'of no type'}; send multipart/form-data, "
            f"field {FIELD!r}",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise HTTPException(400, "The type multipart/form-data has no boundary; add one")
    body = _CappedBody(request)
    # Without a charset: names are UTF-8.
    headers = [(b"content-type", b"multipart/form-data; boundary=" + boundary)]
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await body.refuse_if_stated_too_long()
            capped = Request(request.scope | {"headers": headers}, body.receive)
            async with capped.form() as form:
                files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
                sources = [
                    Source(file.filename or f"file {number}", encoded=await file.read())
                    for number, file in enumerate(files, start=1)
                ]
    except ClientDisconnect:
        raise HTTPException(400, "The request was not complete: its client has left") from None
    except TimeoutError:
        raise HTTPException(
            408, f"The request was not complete after {BODY_SECONDS} seconds; send smaller files"
        ) from None
    if b"--" + boundary + b"--" not in body.end:
        raise HTTPException(
            400, "The request is cut off: its last boundary is missing; send it again"
        )
    if not sources:
        raise HTTPException(422, f"The request has no files; send them in the field {FIELD!r}")
    if len(sources) > MAX_FILES:
        raise HTTPException(
            422, f"The request has more than {MAX_FILES} files; send them in several requests"
        )
    return sources


class _CappedBody:
    """The body of a request, which fails once it is too long.

    Starlette has such a limit, but answers in plain text, and before the client has sent all.
    """

    def __init__(self, request: Request):
        self._request, self._n_bytes, self.end = request, 0, b""

    async def receive(self) -> dict:
        """Return the next part, as ASGI has it; `end` are the last bytes so far."""
        message = await self._receive()
        if self._n_bytes > MAX_BYTES:
            await self._refuse(message)
        self.end = (self.end + message.get("body", b""))[-END:]
        return message

    async def refuse_if_stated_too_long(self) -> None:
        """Raise HTTPException 413 if the header states too many bytes."""
        stated = self._request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > MAX_BYTES:
            await self._refuse({"more_body": True})

    async def _receive(self):
        message = await self._request.receive()
        self._n_bytes += len(message.get("body", b""))
        return message

    async def _refuse(self, message):
        while message.get("more_body") and self._n_bytes < DROPPED_BYTES:
            message = await self._receive()
        raise HTTPException(
            413,
            f"The request has more than {MAX_BYTES // 10**6} MB; make the photographs smaller, or "
            "send them one by one",
        )
