"""The photographs that a command's arguments name: found, read and decoded, the next ones ahead."""

import glob
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TextIO

import cv2
import numpy as np

from lesions.imaging.formats import DAMAGE
from lesions.imaging.stderr import capture_stderr
from lesions.imaging.threads import n_workers
from lesions.imaging.uploads import FORMATS, SUFFIXES, read_upload
from lesions.inference.exported import BATCH_SIZE

STANDARD_INPUT = "standard input"  # the name of a photograph that comes from there
MAX_BYTES = 500_000_000  # of a file; more is not read
ALL = re.compile(b"")  # lines of the decoders on stderr: what fails is said in our words
CAPTURING = threading.Lock()  # there is one stderr, which one thread at a time may capture
AHEAD = 2  # batches that are decoded while one is predicted


class Source(NamedTuple):
    """A photograph to read: its name, and its file or its bytes, or what is wrong."""

    name: str
    path: Path | None = None
    error: str = ""
    encoded: bytes | None = None


class Photograph(NamedTuple):
    """A photograph as the network sees it, uint8 RGB `(pixels, pixels, 3)`, or what is wrong."""

    name: str
    image: np.ndarray | None
    error: str = ""


def open_messages() -> TextIO:
    """Return a stream to stderr that is not captured while photographs are decoded."""
    return os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def find_sources(arguments: Sequence[str]) -> list[Source]:
    """Return the photographs that files, folders, patterns and `-` name, in this order.

    Of a folder these are all files below it whose names end as those of photographs do, sorted;
    hidden ones are skipped, and links to folders are not followed. What names no photograph is a
    source with an error.
    """
    if list(arguments).count("-") > 1:
        raise ValueError("Standard input can be read once, and - is given more than once")
    found = []
    for argument in arguments:
        try:
            found += _find(argument)
        except OSError as error:
            found.append(Source(argument, error=_cannot_read(argument, error)))
    return found


def _find(argument):
    """Return the photographs that one argument names."""
    path = Path(argument)
    if argument == "-":
        return [_read_standard_input()]
    if not argument:
        return [Source(argument, error="An empty name is no photograph; name a file or a folder")]
    if path.is_dir():
        unreadable = []
        files = sorted(_walk(path, unreadable))
        errors = [Source(e.filename, error=_cannot_read(e.filename, e)) for e in unreadable]
        if not files and not errors:
            return [Source(argument, error=f"{argument} has no {FORMATS} files")]
        return [*errors, *(Source(str(file), file) for file in files)]
    if not path.exists() and glob.has_magic(argument):
        files = sorted(Path(match) for match in glob.glob(argument, recursive=True))
        files = [file for file in files if file.is_file()]
        if not files:
            return [Source(argument, error=f"No file matches {argument}")]
        return [Source(str(file), file) for file in files]
    return [Source(argument, path)]


def _read_standard_input():
    """Read a photograph here, in the main thread, which can be interrupted."""
    if sys.stdin is None:
        return Source(STANDARD_INPUT, error=f"{STANDARD_INPUT} is closed")
    encoded = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(encoded) > MAX_BYTES:
        return Source(STANDARD_INPUT, error=f"{STANDARD_INPUT} has more than {MAX_BYTES:,} bytes")
    return Source(STANDARD_INPUT, encoded=encoded)


def _cannot_read(name, error):
    return f"{name} cannot be read: {error.strerror or error}"


def read_photographs(
    sources: Sequence[Source], resize: dict[str, object]
) -> Iterator[list[Photograph]]:
    """Yield the photographs in batches of at most `BATCH_SIZE`; decoding runs ahead, in threads.

    `resize` are the settings of `lesions.imaging.uploads.read_upload`.
    """
    batches = [sources[s : s + BATCH_SIZE] for s in range(0, len(sources), BATCH_SIZE)]
    cv2.setNumThreads(1)  # our threads share the cores already
    with ThreadPoolExecutor(n_workers()) as workers, ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(_read_batch, b, resize, workers) for b in batches[:AHEAD]]
        for number in range(len(batches)):
            if number + AHEAD < len(batches):
                ahead = batches[number + AHEAD]
                waiting.append(reader.submit(_read_batch, ahead, resize, workers))
            yield waiting.pop(0).result()


def _read_batch(sources, resize, workers):
    """Read some photographs at once; where libjpeg conceals damage, again, one by one, to tell."""
    with CAPTURING:
        with capture_stderr(ALL) as (lines, _):
            photographs = list(workers.map(lambda source: _read(source, resize), sources))
        if not any(map(_is_damage, lines)):
            return photographs
        return [_find_damage(*pair, resize) for pair in zip(photographs, sources, strict=True)]


def _is_damage(line):
    return DAMAGE.match(line.encode()) is not None


def _read(source, resize):
    if source.error:
        return Photograph(source.name, None, source.error)
    try:
        encoded = _read_bytes(source)
        return Photograph(source.name, read_upload(encoded, name=source.name, **resize))
    except ValueError as error:
        return Photograph(source.name, None, str(error))
    except FileNotFoundError:
        return Photograph(source.name, None, f"There is no file {source.name}")
    except MemoryError:
        return Photograph(source.name, None, f"{source.name} needs more memory than there is")
    except OSError as error:
        return Photograph(source.name, None, _cannot_read(source.name, error))


def _read_bytes(source):
    if source.encoded is not None:
        return source.encoded
    found = source.path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{source.name} is not a file that can be read as a photograph")
    if found.st_size > MAX_BYTES:
        raise ValueError(
            f"{source.name} has {found.st_size:,} bytes, above the limit of {MAX_BYTES:,}; make it "
            "smaller"
        )
    return source.path.read_bytes()


def _find_damage(photograph, source, resize):
    if photograph.error:
        return photograph
    with capture_stderr(ALL) as (lines, _):
        _read(source, resize)
    found = list(filter(_is_damage, lines))
    if not found:
        return photograph
    fault = f"{source.name} is damaged, libjpeg says: {found[0]}; fetch it again"
    return Photograph(source.name, None, fault)


def _walk(folder, unreadable):
    """Yield the photographs below a folder; what cannot be listed is appended as an error."""
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)
