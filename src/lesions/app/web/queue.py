"""Work of many requests, done by one thread in turn: the model uses all cores by itself."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException

MAX_WAITING = 100  # requests whose files are held in memory
SECONDS = 30  # that a request waits for its answer

T = TypeVar("T")


class Queue:
    """At most `max_waiting` requests; used as a context by each, `async with queue:`."""

    def __init__(self, *, max_waiting: int = MAX_WAITING, seconds: float = SECONDS):
        self._free, self._seconds = max_waiting, seconds
        self._worker = ThreadPoolExecutor(1)

    async def __aenter__(self):
        if not self._free:
            raise HTTPException(
                429, "Too many requests wait; try again in a second", {"Retry-After": "1"}
            )
        self._free -= 1
        return self

    async def __aexit__(self, *_):
        self._free += 1

    async def run(self, work: Callable[[threading.Event], T]) -> T:
        """Return what work returns; raise HTTPException 503 if that takes too long.

        `work` is given an event, after which nobody waits for what it returns.
        """
        given_up = threading.Event()
        future = asyncio.wrap_future(self._worker.submit(work, given_up))
        try:
            return await asyncio.wait_for(future, self._seconds)
        except TimeoutError:
            raise HTTPException(
                503,
                f"No answer after {self._seconds:g} seconds; try again later, or send fewer files",
                {"Retry-After": "10"},
            ) from None
        finally:
            given_up.set()

    async def run_untimed(self, work: Callable[[], T]) -> T:
        """Return what work returns, however long that takes."""
        return await asyncio.wrap_future(self._worker.submit(work))

    def close(self) -> None:
        """Finish what is under way."""
        self._worker.shutdown()
