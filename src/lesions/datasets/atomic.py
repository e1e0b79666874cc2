"""Folders that are written completely or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_folder(destination: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `destination` if the block succeeds.

    If it raises, the folder is removed and `destination` is unchanged. If the process is killed,
    `destination` is unchanged, and the next call removes the leftovers.
    """
    new = sibling(destination, "new")
    with _empty_folder(new):
        yield new
        remove_path(destination)
        new.rename(destination)


@contextmanager
def temporary_folder(destination: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of `destination`; it is removed at the end."""
    folder = sibling(destination, "source")
    with _empty_folder(folder):
        yield folder


def sibling(path: Path, suffix: str) -> Path:
    """Return the path `<path>.<suffix>`."""
    return path.with_name(f"{path.name}.{suffix}")


def remove_path(path: Path) -> None:
    """Remove a file, a folder or a link (not its target), if there is one."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextmanager
def _empty_folder(folder):
    remove_path(folder)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        remove_path(folder)
