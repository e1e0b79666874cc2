"""Photographs in zip archives."""

import errno
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lesions.datasets.image_files import ImageFile, is_hidden, is_image, walk_files

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a password, or an unknown compression
    IndexError,  # a member without a name
)
# HAM10000's images have some 300 kB, the ISIC's largest 30 MB; ISIC 2020 has 23 GB in all.
MAX_IMAGE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 64 * 2**30


def list_archived_images(folder: str | Path) -> list[ImageFile]:
    """Return the JPEG files in the zip archives in `folder` and below, without unpacking them."""
    images = []
    for path in walk_files(folder):
        if path.suffix.lower() != ".zip" or not path.is_file():
            continue
        with _open(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))  # some archivers of Windows
            if is_image(name.name) and not any(map(is_hidden, name.parts)):
                relative_path = f"{path.relative_to(folder).as_posix()}/{name}"
                images.append(ImageFile(name.stem, relative_path, path, member))
    return images


def contains_file(path: Path, names: Collection[str]) -> bool:
    """Return whether an archive has a file of one of these lower-case names, in any folder."""
    with _open(path) as archive:
        return any(PurePosixPath(name).name.lower() in names for name in archive.namelist())


def extract_images(targets: Mapping[ImageFile, Path]) -> None:
    """Write each image of `list_archived_images` to its target, a path that does not exist yet.

    The sizes that the archives state are compared with `MAX_IMAGE_BYTES` and `MAX_TOTAL_BYTES`
    before anything is written; `zipfile` never unpacks more than is stated.

    Raises
    ------
    ValueError
        If an archive cannot be read, or a limit is exceeded.
    """
    for image in targets:
        if image.member.file_size > MAX_IMAGE_BYTES:
            raise ValueError(
                f"{image.relative_path} has {image.member.file_size} bytes unpacked "
                f"({image.member.compress_size} packed), above the limit of {MAX_IMAGE_BYTES}; "
                "check the archive's origin, or unpack it yourself and move it away"
            )
    total = sum(image.member.file_size for image in targets)
    if total > MAX_TOTAL_BYTES:
        raise ValueError(
            f"The {len(targets)} images in the archives have {total} bytes unpacked, above the "
            f"limit of {MAX_TOTAL_BYTES}; check the archives' origin, or unpack them yourself and "
            "move them away"
        )
    for path in sorted({image.path for image in targets}):
        with _open(path) as archive:
            images = [image for image in targets if image.path == path]
            for image in tqdm(images, desc=f"unpack {path.name}", unit="image", disable=None):
                # Not extract(), which takes the path from the archive.
                with archive.open(image.member) as packed, targets[image].open("xb") as file:
                    shutil.copyfileobj(packed, file)


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; name it in an error if it is damaged, encrypted or of an unknown kind."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*DAMAGE, OSError) as error:
        # EINVAL: an offset before the file's start; None: bzip2's. All other codes are the disk's.
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
            raise
        raise ValueError(
            f"Cannot read the archive {path} ({path.stat().st_size} bytes): {error}; download it "
            "again, or unpack it yourself and move it away"
        ) from error
