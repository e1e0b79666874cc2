"""The photographs in a folder, by the names of their files."""

import os
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif")
SUFFIXES = (*JPEG_SUFFIXES, ".png", ".tif", ".tiff", ".bmp", ".webp")
# Masks that lie beside photographs of HAM10000 and of the ISIC's challenges.
MASK = re.compile(r".+_(segmentation|superpixels|mask|attribute_\w+)", re.IGNORECASE)


class ImageFile(NamedTuple):
    """A photograph in a folder, or in an archive there."""

    image_id: str
    relative_path: str  # to the folder; an archive counts as a folder
    path: Path  # of the file itself, or of the archive
    member: zipfile.ZipInfo | tarfile.TarInfo | None = None


BY_ID = attrgetter("image_id")


def find_images(folder: str | Path) -> dict[str, str]:
    """Return the path of every image in `folder` and below, by image_id.

    Hidden files and `__MACOSX` are skipped; archives are not opened.

    Returns
    -------
    dict of str to str
        image_id (the file's name without its suffix) to the path relative to `folder`, with
        forward slashes; sorted by image_id.

    Raises
    ------
    ValueError
        If two files have the same image_id, or as `list_images` does.
    """
    images = list_images(folder)
    refuse_repeated_ids(images)
    return {image.image_id: image.relative_path for image in sorted(images, key=BY_ID)}


def list_images(folder: str | Path) -> list[ImageFile]:
    """Return the image files in `folder` and below, without those in archives.

    Raises
    ------
    ValueError
        If something named like an image is not a file.
    """
    paths = [path for path in walk_files(folder) if is_image(path.name)]
    wrong = [path for path in paths if not path.is_file()]
    if wrong:
        found = "a folder" if wrong[0].is_dir() else "a broken link"
        raise ValueError(
            f"{len(wrong)} of {len(paths)} paths named like an image are not files, first "
            f"{wrong[0].relative_to(folder)}, {found}; rename or move it, or run 'dvc pull'"
        )
    return [ImageFile(path.stem, path.relative_to(folder).as_posix(), path) for path in paths]


def refuse_repeated_ids(images: Iterable[ImageFile]) -> None:
    """Raise ValueError if an image_id has two files: only the user knows which is the right one."""
    counts = Counter(image.image_id for image in images)
    repeated = sorted(image_id for image_id, count in counts.items() if count > 1)
    if not repeated:
        return
    first, second = [image for image in images if image.image_id == repeated[0]][:2]
    if (first.member is None) != (second.member is None):
        advice = "move away either the archive or what was unpacked from it"
    else:
        advice = "delete or move one of the copies (Kaggle's archive has every image twice)"
    raise ValueError(
        f"{len(repeated)} of {len(counts)} images have several files, first {repeated[0]}: "
        f"{first.relative_path} and {second.relative_path}; {advice}"
    )


def walk_files(folder: str | Path) -> Iterator[Path]:
    """Yield all files in `folder` and below, and folders named like images; none that is hidden.

    Links are followed; each folder is visited once.
    """
    visited = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link to a folder above, for example
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        names = files + [name for name in folders if is_image(name)]
        yield from (Path(parent, name) for name in sorted(names) if not is_hidden(name))


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or added by macOS."""
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image, in any case."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_no_photograph(image_id: str) -> bool:
    """Return whether a file name without suffix is that of a mask of another photograph."""
    return MASK.fullmatch(image_id) is not None


def _raise(error):
    raise error  # os.walk would skip an unreadable folder
