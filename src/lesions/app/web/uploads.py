"""Files of a request: capped before they are parsed, and held in memory alone."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser

from lesions.app.photographs import Source

MAX_BYTES = 20_000_000  # of a request
MAX_FILES = 16
FIELD = "files"
BODY_SECONDS = 30  # to send a request
# What is too long is read and dropped to this length: most clients read no answer before they have
# sent everything.
DROPPED_BYTES = 10 * MAX_BYTES

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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(
            415, f"The request is {kind or 'of no type'}; send multipart/form-data, field {FIELD!r}"
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            capped = Request(request.scope, await _cap(request))
            # Starlette refuses what has more fields or larger ones than these.
            async with capped.form(max_files=MAX_FILES + 1, max_fields=MAX_FILES) as form:
                files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
                sources = [
                    Source(file.filename or f"file {number}", encoded=await file.read())
                    for number, file in enumerate(files, start=1)
                ]
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


async def _cap(request: Request) -> Callable[[], Awaitable[dict]]:
    """Return what reads the body of a request, and fails once it is too long.

    Starlette has such a limit, but answers in plain text, and before the client has sent all.
    """
    stated = request.headers.get("content-length", "")
    n_bytes = 0

    async def receive():
        nonlocal n_bytes
        message = await request.receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BYTES:
            await refuse(message)
        return message

    async def refuse(message):
        nonlocal n_bytes
        while message.get("more_body") and n_bytes < DROPPED_BYTES:
            message = await request.receive()
            n_bytes += len(message.get("body", b""))
        raise HTTPException(
            413,
            f"The request has more than {MAX_BYTES // 10**6} MB; make the photographs smaller, or "
            "send them one by one",
        )

    if stated.isdecimal() and int(stated) > MAX_BYTES:
        await refuse({"more_body": True})
    return receive
