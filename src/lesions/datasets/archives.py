"""Photographs in zip and tar archives."""

import errno
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lesions.datasets.image_files import ImageFile, is_hidden, is_image, walk_files

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a password, or an unknown compression
    IndexError,  # a member without a name
)
# HAM10000's images have some 300 kB, the ISIC's largest 30 MB; ISIC 2020 has 23 GB in all.
MAX_IMAGE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 64 * 2**30
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
SUFFIXES = (".zip", *TAR_SUFFIXES)


def list_archived_images(folder: str | Path) -> list[ImageFile]:
    """Return the image files in the archives in `folder` and below, without unpacking them."""
    images = []
    for path in walk_files(folder):
        if not path.name.lower().endswith(SUFFIXES) or not path.is_file():
            continue
        for name, member in _list_files(path):
            if is_image(name.name) and not any(map(is_hidden, name.parts)):
                relative_path = f"{path.relative_to(folder).as_posix()}/{name}"
                images.append(ImageFile(name.stem, relative_path, path, member))
    return images


def strip_archive_suffix(name: str) -> str:
    """Return a file's name without `.zip`, `.tar`, `.tar.gz` or `.tgz`."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def contains_file(path: Path, names: Collection[str]) -> bool:
    """Return whether an archive has a file of one of these lower-case names, in any folder."""
    return any(name.name.lower() in names for name, _ in _list_files(path))


def extract_images(targets: Mapping[ImageFile, Path]) -> None:
    """Write each image of `list_archived_images` to its target, a path that does not exist yet.

    The sizes that the archives state are compared with `MAX_IMAGE_BYTES` and `MAX_TOTAL_BYTES`
    before anything is written; no more is ever unpacked than is stated.

    Raises
    ------
    ValueError
        If an archive cannot be read, or a limit is exceeded.
    """
    for image in targets:
        if _size(image.member) > MAX_IMAGE_BYTES:
            packed = getattr(image.member, "compress_size", image.path.stat().st_size)
            raise ValueError(
                f"{image.relative_path} has {_size(image.member)} bytes unpacked "
                f"({packed} packed), above the limit of {MAX_IMAGE_BYTES}; "
                "check the archive's origin, or unpack it yourself and move it away"
            )
    total = sum(_size(image.member) for image in targets)
    if total > MAX_TOTAL_BYTES:
        raise ValueError(
            f"The {len(targets)} images in the archives have {total} bytes unpacked, above the "
            f"limit of {MAX_TOTAL_BYTES}; check the archives' origin, or unpack them yourself and "
            "move them away"
        )
    for path in sorted({image.path for image in targets}):
        with _open(path) as archive:
            images = [image for image in targets if image.path == path]
            images.sort(key=lambda image: getattr(image.member, "offset_data", 0))  # of a tar
            for image in tqdm(images, desc=f"unpack {path.name}", unit="image", disable=None):
                # Not extract(), which takes the path from the archive.
                unpack = archive.open if path.suffix.lower() == ".zip" else archive.extractfile
                with unpack(image.member) as packed, targets[image].open("xb") as file:
                    shutil.copyfileobj(packed, file)


def _list_files(path) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo | tarfile.TarInfo]]:
    """Yield name and entry of each regular file: no folder, link or device."""
    with _open(path) as archive:
        if isinstance(archive, zipfile.ZipFile):
            members = [member for member in archive.infolist() if not member.is_dir()]
            names = [member.filename for member in members]
        else:
            members = [member for member in _bounded(archive, path) if member.isreg()]
            names = [member.name for member in members]
    for name, member in zip(names, members, strict=True):
        yield PurePosixPath(name.replace("\\", "/")), member  # some archivers of Windows


def _bounded(archive, path):
    """Yield the entries of a tar archive, which must be unpacked to find the next one."""
    for member in archive:
        if member.offset_data + member.size > MAX_TOTAL_BYTES:
            raise ValueError(
                f"{path} has more than {MAX_TOTAL_BYTES} bytes unpacked, the limit; check its "
                "origin, or unpack it yourself and move it away"
            )
        yield member


def _size(member):
    return member.file_size if isinstance(member, zipfile.ZipInfo) else member.size


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive; name it in an error if it is damaged, encrypted or of an unknown kind."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield archive
        else:
            with tarfile.open(path, "r:" if suffix == ".tar" else "r:gz") as archive:
                yield archive
    except (*DAMAGE, OSError) as error:
        # EINVAL: an offset before the file's start; None: bzip2's. All other codes are the disk's.
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
            raise
        raise ValueError(
            f"Cannot read the archive {path} ({path.stat().st_size} bytes): {error}; download it "
            "again, or unpack it yourself and move it away"
        ) from error
