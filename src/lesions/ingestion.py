"""Bring a user's own copy of HAM10000, as downloaded or unpacked, to HAM10000's own layout."""

import errno
import filecmp
import os
import re
import shutil
from pathlib import Path, PurePosixPath

from lesions.folder import BY_ID, Image, list_files, refuse_copies, walk
from lesions.jpeg import refuse_broken
from lesions.metadata import read_metadata
from lesions.taxonomy import COLUMNS, METADATA, PARTS
from lesions.whole import beside, replacing
from lesions.zips import holds, list_members, unpack

SUFFIXES = (".csv", ".tab", "")  # Dataverse's is .tab, or none where its address is saved
METADATA_NAMES = tuple(
    name + suffix
    for name in (
        "ham10000_metadata",
        "isic2018_task3_training_groundtruth",
        "isic2018_task3_validation_groundtruth",
        "isic2018_task3_test_groundtruth",
    )
    for suffix in SUFFIXES
)

# Another file system, one without hard links, a file of another owner, a file with too many links.
NO_LINK = {
    errno.EXDEV,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EPERM,
    errno.EMLINK,
}
PART_2 = re.compile(r"ham10000_images_part_?2(?!\d)", re.IGNORECASE)


def find_metadata(source: str | Path, *, setting: str = "data.path") -> Path:
    """Give the one metadata file at or below `source`.

    Parameters
    ----------
    source : str or Path
        A folder. Hidden files and ``__MACOSX`` are passed over.
    setting : str
        What params.yaml calls that folder, for the messages.

    Returns
    -------
    Path
        ``HAM10000_metadata`` or ``ISIC2018_Task3_<part>_GroundTruth``, with the suffix ``.csv``,
        ``.tab`` or none, in any case.

    Raises
    ------
    ValueError
        Where there is no such folder, no such file, or more than one.
    """
    if not Path(source).is_dir():
        what = "no folder" if Path(source).exists() else "not there"
        raise ValueError(
            f"{setting} must be a folder; {source} is {what}; look in {setting} or run 'dvc pull'."
        )
    files = [path for path in walk(source) if path.is_file()]
    found = [path for path in files if path.name.lower() in METADATA_NAMES]
    if not found:
        archives = [path for path in files if path.suffix.lower() == ".zip"]
        zipped = [path for path in archives if holds(path, METADATA_NAMES)]
        advice = f"unpack {zipped[0]}, which holds it" if zipped else f"look in {setting}"
        raise ValueError(
            f"{METADATA} (or Dataverse's .tab, or ISIC2018_Task3_Test_GroundTruth.csv) must lie in "
            f"{setting}; none is in {source} or below; {advice} or run 'dvc pull'."
        )
    if len(found) > 1:
        same = all(filecmp.cmp(found[0], path, shallow=False) for path in found[1:])
        raise ValueError(
            f"{setting} must hold one metadata file; {len(found)} are in {source}: "
            f"{', '.join(str(path.relative_to(source)) for path in found)}"
            f"{' (equal, byte for byte)' if same else ''}; keep one and move the others away."
        )
    return found[0]


def ingest_folder(
    source: str | Path,
    destination: str | Path,
    *,
    extra_images: str = "refuse",
    setting: str = "data.path",
) -> None:
    """Bring the user's copy of HAM10000 to HAM10000's own layout; the user's folder stays as it is.

    Metadata and file names are checked before anything is written. Then images that lie in folders
    are hard-linked (copied where the file system has no links for them), those in zip archives
    unpacked, and every one is decoded. Only when all of it is good does `destination` appear.

    Parameters
    ----------
    source : str or Path
        A folder with the metadata and the images, each anywhere below it, in folders or archives.
    destination : str or Path
        The folder to write in place of what is there: ``HAM10000_metadata.csv`` (HAM10000's with
        commas is copied byte for byte, any other is written anew),
        ``HAM10000_images_part_1`` and ``HAM10000_images_part_2`` with ``<image_id>.jpg``. Part 2
        has the images from a folder or archive of that name, part 1 all others.
    extra_images : {'refuse', 'ignore'}
        What to do about image files without a row in the metadata.
    setting : str
        What params.yaml calls `source`, for the messages.

    Raises
    ------
    ValueError
        Where the metadata has a fault, a row has no image, an image has two files or (unless
        ignored) no row, an archive cannot be read, or a file is no complete JPEG.
    """
    source, destination = Path(source), Path(destination)
    if extra_images not in ("refuse", "ignore"):
        raise ValueError(f"extra_images must be 'refuse' or 'ignore'; it is {extra_images!r}.")
    _refuse_overlap(source, destination, setting=setting)
    metadata_file = find_metadata(source, setting=setting)
    metadata = read_metadata(metadata_file)
    images = list_files(source) + list_members(source)
    images = _select(images, metadata["image_id"], extra_images=extra_images, setting=setting)

    with replacing(destination) as new:
        for part in PARTS:
            (new / part).mkdir()
        header = metadata_file.read_bytes().partition(b"\n")[0]
        if b"\t" in header or COLUMNS[0].encode() not in header:
            metadata.to_csv(new / METADATA, index=False, lineterminator="\n")
        else:
            shutil.copyfile(metadata_file, new / METADATA)
        targets = {image: new / _part(image) / f"{image.image_id}.jpg" for image in images}
        for image, target in targets.items():
            if image.member is None:
                _link(image.path, target)
        unpack({image: target for image, target in targets.items() if image.member is not None})
        refuse_broken({image.place: target for image, target in targets.items()})


def _refuse_overlap(source, destination, *, setting):
    """Refuse to write into the user's folder, or to empty a folder that holds it."""
    here = source.resolve()
    for there in (destination.resolve(), beside(destination, "new").resolve()):
        if not (here.is_relative_to(there) or there.is_relative_to(here)):
            continue
        raise ValueError(
            f"{setting} and the folder to write must lie apart, or your files would be changed; "
            f"they are {source} and {destination}; move your files and set {setting}."
        )


def _select(images, image_ids, *, extra_images, setting) -> list[Image]:
    """Give the one file of each row, sorted by image_id; refuse copies, gaps and extra files."""
    wanted, found = set(image_ids), {image.image_id for image in images}
    extra = [image for image in images if image.image_id not in wanted]
    if extra_images == "ignore":
        images = [image for image in images if image.image_id in wanted]
    refuse_copies(images)
    missing = [image_id for image_id in image_ids if image_id not in found]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(image_ids)} images in the metadata have no file, "
            f"first {missing[0]}; look in {setting} or run 'dvc pull'."
        )
    if extra and extra_images == "refuse":
        raise ValueError(
            f"every image file must have a row in the metadata; {len(extra)} of {len(images)} have "
            f"none, first {extra[0].place}; move them away, or set `data.extra_images: ignore`."
        )
    return sorted(images, key=BY_ID)


def _part(image):
    """Give the folder of HAM10000 for an image: by the names of what it lies in."""
    return PARTS[any(PART_2.match(name) for name in PurePosixPath(image.place).parts[:-1])]


def _link(path, target):
    """Hard-link a file, or copy it where that cannot be; a link is never written through."""
    path = path.resolve()  # or a symbolic link would itself be linked
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(path, target)
