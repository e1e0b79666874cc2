"""Folders that are there whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """Give an empty folder beside `destination` that takes its place if the block ends well.

    If it does not, the folder is removed and `destination` is as it was; if the process is killed,
    `destination` is as it was, and the next call removes what was left.
    """
    new = beside(destination, "new")
    with _empty(new):
        yield new
        remove(destination)
        new.rename(destination)


@contextmanager
def scratch(destination: Path) -> Iterator[Path]:
    """Give an empty folder beside `destination`, on the same disk, that is removed at the end."""
    folder = beside(destination, "source")
    with _empty(folder):
        yield folder


def beside(destination: Path, suffix: str) -> Path:
    """Give the path of a folder beside `destination`."""
    return destination.with_name(f"{destination.name}.{suffix}")


def remove(path: Path) -> None:
    """Remove what is there, if anything; of a link, only the link."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextmanager
def _empty(folder):
    """Make a folder anew, and remove it at the end if it is still there."""
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        remove(folder)
