"""Files of a request: capped before they are parsed, and held in memory alone."""

import asyncio
from collections.abc import AsyncGenerator

from fastapi import HTTPException, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
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


class _Parser(MultiPartParser):
    spool_max_size = MAX_BYTES + 1  # Starlette would write a file above this size to the disk


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
    # Without a charset: names are UTF-8.
    kind = Headers(raw=[(b"content-type", b'multipart/form-data; boundary="' + boundary + b'"')])
    try:
        async with asyncio.timeout(BODY_SECONDS):
            form = await _Parser(kind, _read_body(request, b"--" + boundary + b"--")).parse()
            files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
            sources = [
                Source(file.filename or f"file {number}", encoded=await file.read())
                for number, file in enumerate(files, start=1)
            ]
            await form.close()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except ClientDisconnect:
        raise HTTPException(400, "The request was not complete: its client has left") from None
    except TimeoutError:
        raise HTTPException(
            408, f"The request was not complete after {BODY_SECONDS} seconds; send smaller files"
        ) from None
    if not sources:
        raise HTTPException(422, f"The request has no files; send them in the field {FIELD!r}")
    if len(sources) > MAX_FILES:
        raise HTTPException(
            422, f"The request has more than {MAX_FILES} files; send them in several requests"
        )
    return sources


async def _read_body(request: Request, last_boundary: bytes) -> AsyncGenerator[bytes]:
    """Yield a body; raise HTTPException 413 if it is too long, 400 if it is cut off.

    Starlette has such a limit, but answers in plain text, and before the client has sent all.
    """
    stated = request.headers.get("content-length", "")
    is_too_long = stated.isdecimal() and int(stated) > MAX_BYTES
    n_bytes, end = 0, b""
    async for chunk in request.stream():
        n_bytes += len(chunk)
        is_too_long |= n_bytes > MAX_BYTES
        if n_bytes > DROPPED_BYTES:
            break
        if not is_too_long:
            end = (end + chunk)[-END:]
            yield chunk
    if is_too_long:
        raise HTTPException(
            413,
            f"The request has more than {MAX_BYTES // 10**6} MB; make the photographs smaller, or "
            "send them one by one",
        )
    if last_boundary not in end:
        raise HTTPException(
            400, "The request is cut off: its last boundary is missing; send it again"
        )
