"""What C and C++ write to stderr, past Python: held back, so that it can be looked at."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def hold_stderr(noise: re.Pattern[bytes]) -> Iterator[tuple[Callable[[], list[str]], TextIO]]:
    """Hold back what the whole process writes to stderr; at the end pass on all that is no noise.

    Parameters
    ----------
    noise
        What a line of noise begins with.

    Yields
    ------
    tuple
        A function that gives the lines of noise that were written so far, and a stream that
        goes where stderr went, for what may not wait, such as a progress bar.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "w") as stderr:

        def lines():
            return os.pread(held.fileno(), os.fstat(held.fileno()).st_size, 0).splitlines(True)

        def said():
            return [line.decode().strip() for line in lines() if noise.match(line)]

        os.dup2(held.fileno(), 2)
        try:
            yield said, stderr
        finally:
            os.dup2(stderr.fileno(), 2)
            os.write(2, b"".join(line for line in lines() if not noise.match(line)))
