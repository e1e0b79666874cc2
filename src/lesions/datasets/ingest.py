"""Bring a set of photographs, from any source, into HAM10000's layout."""

import errno
import os
import re
import shutil
from pathlib import Path, PurePosixPath

from lesions.datasets.archives import extract_images, list_archived_images
from lesions.datasets.atomic import replace_folder, sibling
from lesions.datasets.ham10000 import COLUMNS, IMAGE_FOLDERS, METADATA
from lesions.datasets.image_files import BY_ID, ImageFile, list_images, refuse_repeated_ids
from lesions.datasets.metadata import find_metadata, read_metadata
from lesions.datasets.sources import open_source
from lesions.datasets.synthetic.dataset import write_dataset
from lesions.imaging.jpeg import refuse_broken

# The setting of a source that leads to its photographs.
SETTINGS = {"dataverse": "dataset", "url": "files", "kaggle": "kind"}
# Another file system, one without hard links, a file of another owner, or with too many links.
NO_LINK = {errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK}
SECOND_FOLDER = re.compile(r"ham10000_images_part_?2(?!\d)", re.IGNORECASE)


def ingest_set(
    raw: Path,
    *,
    name: str,
    path: Path,
    kind: str,
    extra_images: str = "refuse",
    **settings,
) -> None:
    """Write a set's photographs and metadata to the folder `raw`, completely or not at all.

    `name` is the set's, for messages; all else are the settings `sets.<name>.source`, as described
    in `lesions.config.sets`. See `ingest_folder` for the layout.

    Raises
    ------
    ValueError
        If the source is not available or its content has a fault.
    """
    if kind == "synthetic":
        with replace_folder(raw) as new:
            write_dataset(new, **settings)
        return
    setting = f"sets.{name}.source.{SETTINGS.get(kind, 'path')}"
    with open_source(kind, path, raw=raw, setting=setting, **settings) as folder:
        ingest_folder(folder, raw, extra_images=extra_images, setting=setting)


def ingest_folder(
    source: str | Path, destination: str | Path, *, extra_images: str = "refuse", setting: str
) -> None:
    """Bring a folder of photographs and metadata into HAM10000's layout.

    Metadata and file names are checked before anything is written. Then images in folders are
    hard-linked (copied if the file system has no hard links), those in zip archives unpacked, and
    all of them decoded. `destination` is replaced if there is no fault; `source` never changes.

    Parameters
    ----------
    source : str or Path
        Has the metadata and the images anywhere below it, in folders or archives.
    destination : str or Path
        Gets `HAM10000_metadata.csv` (copied byte for byte, or converted if it is not HAM10000's
        with commas) and `IMAGE_FOLDERS` with `<image_id>.jpg`: the second has the images from a
        folder or archive of that name, the first all others.
    extra_images : {'refuse', 'ignore'}
        What to do with image files that have no row in the metadata.
    setting : str
        The setting of `params.yaml` that leads to `source`, for messages.

    Raises
    ------
    ValueError
        If the metadata have a fault; a row has no image; an image has two files, or no row unless
        that is ignored; an archive cannot be read; or a file is not a complete JPEG.
    """
    source, destination = Path(source), Path(destination)
    _refuse_overlap(source, destination, setting=setting)
    metadata_file = find_metadata(source, setting=setting)
    metadata = read_metadata(metadata_file)
    images = list_images(source) + list_archived_images(source)
    images = _select(images, metadata["image_id"], extra_images=extra_images, setting=setting)

    with replace_folder(destination) as new:
        for folder in IMAGE_FOLDERS:
            (new / folder).mkdir()
        header = metadata_file.read_bytes().partition(b"\n")[0]
        if b"\t" in header or COLUMNS[0].encode() not in header:
            metadata.to_csv(new / METADATA, index=False, lineterminator="\n")
        else:
            shutil.copyfile(metadata_file, new / METADATA)
        targets = {image: new / _image_folder(image) / f"{image.image_id}.jpg" for image in images}
        for image, target in targets.items():
            if image.member is None:
                _link(image.path, target)
        extract_images({image: target for image, target in targets.items() if image.member})
        refuse_broken({image.relative_path: target for image, target in targets.items()})


def _refuse_overlap(source, destination, *, setting):
    """Refuse to write into the user's folder, or to replace a folder that contains it."""
    ours = source.resolve()
    for theirs in (destination.resolve(), sibling(destination, "new").resolve()):
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            raise ValueError(
                f"{source} ({setting}) and the folder to write, {destination}, overlap, so that "
                f"your files would be changed; move your files and correct {setting}"
            )


def _select(images, image_ids, *, extra_images, setting) -> list[ImageFile]:
    """Return the file of each row, sorted by image_id; refuse copies, gaps and extra files."""
    wanted, found = set(image_ids), {image.image_id for image in images}
    extra = [image for image in images if image.image_id not in wanted]
    if extra_images == "ignore":
        images = [image for image in images if image.image_id in wanted]
    refuse_repeated_ids(images)
    missing = [image_id for image_id in image_ids if image_id not in found]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(image_ids)} images in the metadata have no file, first "
            f"{missing[0]}; look in {setting}, or run 'dvc pull'"
        )
    if extra and extra_images == "refuse":
        section = setting.rpartition(".")[0]
        raise ValueError(
            f"{len(extra)} of {len(images)} image files have no row in the metadata, first "
            f"{extra[0].relative_path}; move them away, or set {section}.extra_images to ignore"
        )
    return sorted(images, key=BY_ID)


def _image_folder(image):
    folders = PurePosixPath(image.relative_path).parts[:-1]
    return IMAGE_FOLDERS[any(SECOND_FOLDER.match(name) for name in folders)]


def _link(path, target):
    """Hard-link a file, or copy it if that is impossible."""
    path = path.resolve()  # os.link would link a symbolic link itself
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(path, target)
