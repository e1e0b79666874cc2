"""Capture of what C libraries write to stderr, past Python."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def capture_stderr(pattern: re.Pattern[bytes]) -> Iterator[tuple[list[str], TextIO]]:
    """Capture lines of stderr that begin with a pattern; pass on all others at the end.

    Yields a list, which has the captured lines after the block, and a stream to the original
    stderr, for a progress bar.
    """
    sys.stderr.flush()
    captured = []
    with _open_buffer() as file, os.fdopen(os.dup(2), "w") as original:
        os.dup2(file.fileno(), 2)
        try:
            yield captured, original
        finally:
            os.dup2(original.fileno(), 2)
            file.seek(0)
            lines = file.readlines()
            captured += [line.decode().strip() for line in lines if pattern.match(line)]
            os.write(2, b"".join(line for line in lines if not pattern.match(line)))


def _open_buffer():
    """Open a file in memory, which no full disk stops; where there is none, on the disk."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()
