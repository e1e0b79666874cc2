"""`lesions serve`."""

import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from lesions.app.formats import DISCLAIMER
from lesions.app.photographs import open_messages
from lesions.app.web.api import make_app
from lesions.app.web.models import load_models
from lesions.app.web.queue import SECONDS


def serve(names: Sequence[str], *, host: str, port: int) -> int:
    """Serve the page and the API until SIGINT or SIGTERM, which let requests under way finish.

    Parameters
    ----------
    names
        As of `lesions.app.web.models.load_models`.

    Raises
    ------
    ValueError
        If a model cannot be loaded, or the address cannot be used.
    """
    served = load_models(names)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # asyncio does so only where it makes the socket; else an answer waits 40 ms for its second
        # part, until the client's system confirms the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ValueError(
            f"The server cannot listen at {host}, port {port}: {error.strerror}; choose others "
            "with --host and --port"
        ) from None
    # Not to stderr itself, which is captured while photographs are decoded.
    logging.basicConfig(
        stream=open_messages(), format="%(levelname)s %(message)s", level=logging.INFO
    )
    config = uvicorn.Config(
        make_app(served),
        log_config=None,
        server_header=False,
        proxy_headers=False,  # any client may send them
        timeout_graceful_shutdown=SECONDS,
    )
    print(DISCLAIMER, file=sys.stderr)
    shown = f"[{host}]" if ":" in host else host
    print(f"Open http://{shown}:{listener.getsockname()[1]}; Ctrl-C ends it", file=sys.stderr)
    with suppress(KeyboardInterrupt):  # the usual end
        uvicorn.Server(config).run(sockets=[listener])
    return 0
