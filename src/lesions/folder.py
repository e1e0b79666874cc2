"""What lies in a folder of photographs: its files, and the images by their names."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

SUFFIXES = (".jpg", ".jpeg")


class Image(NamedTuple):
    """An image file of the user: in a folder, or in an archive there."""

    image_id: str
    place: str  # relative to the folder, as messages say it; an archive stands as a folder
    path: Path  # the file itself, or the archive
    member: zipfile.ZipInfo | None = None


BY_ID = attrgetter("image_id")


def find_images(folder: str | Path) -> dict[str, str]:
    """Give the path of every JPEG file at or below `folder`, by image_id.

    Parameters
    ----------
    folder : str or Path
        A folder. Hidden files and ``__MACOSX`` are passed over; archives are not opened.

    Returns
    -------
    dict of str to str
        image_id (the file's name without ``.jpg`` or ``.jpeg``) to the path relative to `folder`,
        with forward slashes; sorted by image_id.

    Raises
    ------
    ValueError
        Where there is no such folder, where two files have one image_id, or where what is named
        like an image is not a file.
    """
    images = list_files(folder)
    refuse_copies(images)
    return {image.image_id: image.place for image in sorted(images, key=BY_ID)}


def list_files(folder: str | Path) -> list[Image]:
    """Give the image files at or below `folder`, those in archives left out.

    Raises
    ------
    ValueError
        Where there is no such folder, or where what is named like an image is not a file.
    """
    paths = [path for path in walk(folder) if is_image(path.name)]
    wrong = [path for path in paths if not path.is_file()]
    if wrong:
        what = "a folder" if wrong[0].is_dir() else "a link to nothing"
        raise ValueError(
            f"what is named like an image must be a file; {len(wrong)} of {len(paths)} are not, "
            f"first {wrong[0].relative_to(folder)}, {what}; rename or move it, or run 'dvc pull'."
        )
    return [Image(path.stem, path.relative_to(folder).as_posix(), path) for path in paths]


def refuse_copies(images: Iterable[Image]) -> None:
    """Refuse two files for one image_id: whether they are equal is for the user to say.

    Raises
    ------
    ValueError
        Where an image_id has more than one file; the message names the first two.
    """
    counts = Counter(image.image_id for image in images)
    twice = sorted(image_id for image_id, count in counts.items() if count > 1)
    if not twice:
        return
    first, second = [image for image in images if image.image_id == twice[0]][:2]
    if (first.member is None) != (second.member is None):
        advice = "an archive lies beside what was unpacked from it: move one of the two away"
    else:
        advice = (
            "delete or move one of the copies (Kaggle's archive carries every image twice, in "
            "HAM10000_images_part_1 and in ham10000_images_part_1)"
        )
    raise ValueError(
        f"an image must have one file; {len(twice)} of {len(counts)} have more, first {twice[0]}: "
        f"{first.place} and {second.place}; {advice}."
    )


def walk(folder: str | Path) -> Iterator[Path]:
    """Give all files at or below `folder`, and folders that are named like images; none is hidden.

    Links are followed, each folder is walked once.

    Raises
    ------
    ValueError
        Where there is no such folder.
    """
    if not Path(folder).is_dir():
        what = "no folder" if Path(folder).exists() else "not there"
        raise ValueError(
            f"images must lie in a folder; {folder} is {what}; look in data.path or run 'dvc pull'."
        )
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder that is walked anyway, perhaps for ever
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        image_like = [name for name in folders if is_image(name)]
        yield from (
            Path(parent, name) for name in sorted(files + image_like) if not is_hidden(name)
        )


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name is none of the user's own making."""
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))


def is_image(name: str) -> bool:
    """Tell whether a file of this name should be a JPEG."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _raise(error):
    raise error  # os.walk would pass over a folder that it may not read
