"""Photographs in zip archives: listed, and unpacked one by one."""

import errno
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lesions.folder import Image, is_hidden, is_image, walk

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a password, or a way to pack that is not known here
    IndexError,  # a member without a name
)
# HAM10000's images have some 300 kB, the ISIC's largest 30 MB; ISIC 2020 has 23 GB in all.
LARGEST_IMAGE = 64 * 2**20  # bytes, unpacked
LARGEST_SET = 64 * 2**30  # bytes, all images of a set together


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


def unpack(
    targets: Mapping[Image, Path],
    *,
    largest_image: int = LARGEST_IMAGE,
    largest_set: int = LARGEST_SET,
) -> None:
    """Write each image that lies in an archive to its target, a path where nothing lies yet.

    Parameters
    ----------
    targets : Mapping of Image to Path
        As `list_members` gives the images.
    largest_image, largest_set : int
        Bytes that one image, and all of them, may have unpacked. What the archives' own lists say
        is added up before anything is written; where a list lies, `zipfile` gives no byte more
        than it says and then refuses the checksum.

    Raises
    ------
    ValueError
        Where an archive cannot be read to its end, or swells beyond these sizes.
    """
    for image in targets:
        if image.member.file_size > largest_image:
            raise _swollen(image, largest_image)
    all_bytes = sum(image.member.file_size for image in targets)
    if all_bytes > largest_set:
        raise ValueError(
            f"all images of the archives must have at most {largest_set} bytes unpacked; these "
            f"{len(targets)} have {all_bytes}; nothing was unpacked; see where they are from, or "
            "unpack them yourself and move the archives away."
        )
    for path in sorted({image.path for image in targets}):
        with _open(path) as archive:
            members = [image for image in targets if image.path == path]
            for image in tqdm(members, desc=f"unpack {path.name}", unit="image", disable=None):
                # Not extract(): only the target makes the name, so nothing lands elsewhere.
                with archive.open(image.member) as packed, targets[image].open("xb") as file:
                    shutil.copyfileobj(packed, file)


def _swollen(image, largest_image):
    """Say which image is too large for one, as those of a zip bomb are."""
    return ValueError(
        f"an image in an archive must have at most {largest_image} bytes unpacked; {image.place} "
        f"has {image.member.file_size}, packed {image.member.compress_size}; see where the archive "
        "is from, or unpack it yourself and move it away."
    )


def unpack_file(path: Path, name: str, target: Path) -> None:
    """Write the one file of that name in the archive at `path`, in any folder, to `target`.

    Raises
    ------
    ValueError
        Where there is none, or more than one, or the archive cannot be read.
    """
    with _open(path) as archive:
        found = [m for m in archive.infolist() if PurePosixPath(m.filename).name == name]
        if len(found) != 1 or found[0].file_size > LARGEST_IMAGE:
            raise ValueError(
                f"an archive must hold one {name} of at most {LARGEST_IMAGE} bytes; {path} holds "
                f"{', '.join(f'{m.filename} ({m.file_size} bytes)' for m in found) or 'none'}."
            )
        with archive.open(found[0]) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file)


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; say of a broken, encrypted or unknown one which it is and what to do."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*BROKEN, OSError) as error:
        # A place before the file's start, and bzip2's own word for damage; all else is the disk's.
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
            raise
        raise ValueError(
            f"a zip archive below data.path must be whole and without a password; {path} "
            f"({path.stat().st_size} bytes) cannot be read: {error}; fetch it again, or unpack it "
            "yourself and move it away."
        ) from error
