"""Photographs in zip archives: listed, and unpacked one by one."""

import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lesions.folder import Image, is_hidden, is_image, walk


def list_members(folder: str | Path) -> list[Image]:
    """Give the image files in the zip archives at or below `folder`; nothing is unpacked.

    Raises
    ------
    ValueError
        Where there is no such folder, or an archive cannot be read.
    """
    images = []
    for path in walk(folder):
        if path.suffix.lower() != ".zip" or not path.is_file():
            continue
        with _open(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))  # some archivers of Windows
            if is_image(name.name) and not any(map(is_hidden, name.parts)):
                place = f"{path.relative_to(folder).as_posix()}/{name}"
                images.append(Image(name.stem, place, path, member))
    return images


def holds(path: Path, names: Collection[str]) -> bool:
    """Tell whether the archive at `path` has a file of one of the `names`, in any case and folder.

    Raises
    ------
    ValueError
        Where the archive cannot be read.
    """
    with _open(path) as archive:
        return any(PurePosixPath(name).name.lower() in names for name in archive.namelist())


def unpack(targets: Mapping[Image, Path]) -> None:
    """Write each image that lies in an archive to its target, a path where nothing lies yet.

    Raises
    ------
    ValueError
        Where an archive cannot be read to its end.
    """
    for path in sorted({image.path for image in targets}):
        with _open(path) as archive:
            members = [image for image in targets if image.path == path]
            for image in tqdm(members, desc=f"unpack {path.name}", unit="image", disable=None):
                # Not extract(): only the target makes the name, so nothing lands elsewhere.
                with archive.open(image.member) as packed, targets[image].open("xb") as file:
                    shutil.copyfileobj(packed, file)


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; say of a broken, encrypted or unknown one which it is and what to do."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(
            f"a zip archive below data.path must be whole and without a password; {path} "
            f"({path.stat().st_size} bytes) cannot be read: {error}; fetch it again, or unpack it "
            "yourself and move it away."
        ) from error
