"""A folder for each class, with or without a folder for each partition around them."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

import pandas as pd

from lesions.datasets.archives import strip_archive_suffix
from lesions.datasets.image_files import ImageFile, is_no_photograph
from lesions.datasets.layouts.found import Folder, Found, convert_table

PARTITIONS = {name: name for name in ("train", "val", "cal", "test")}
PARTITIONS |= {"valid": "val", "validation": "val"}


def are_known(images: list[ImageFile], known: Collection[str]) -> bool:
    """Return whether a folder that holds images is named like a known diagnosis."""
    folders = {image.relative_path.rpartition("/")[0] for image in images}
    names = {strip_archive_suffix(folder.rpartition("/")[2]) for folder in folders}
    return any(name in known or name.lower() in known for name in names)


def read(
    folder: Folder, *, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return a row for each image: dx is its folder, partition the folder around that.

    The image_id is the file's name, or its whole path where several files have that name.
    """
    images = [image for image in folder.images if not is_no_photograph(image.image_id)]
    paths = [[strip_archive_suffix(name) for name in _parts(image)] for image in images]
    loose = [image for image, parts in zip(images, paths, strict=True) if len(parts) < 2]
    if loose or not images:
        fault = f"{folder.path} contains no images"
        if loose:
            fault = (
                f"{len(loose)} of {len(images)} images in {folder.path} are not in a folder named "
                f"after their diagnosis, first {loose[0].relative_path}"
            )
        raise ValueError(f"{fault}; sort images into a folder per diagnosis, or correct {setting}")
    counts = Counter(image.image_id for image in images)
    ids = [
        image.image_id if counts[image.image_id] == 1 else "_".join([*parts[:-1], image.image_id])
        for image, parts in zip(images, paths, strict=True)
    ]
    table = {"image_id": ids, "dx": [parts[-2] for parts in paths]}
    partitions = [PARTITIONS.get(parts[-3].lower(), "") if parts[2:] else "" for parts in paths]
    if any(partitions):
        table["partition"] = partitions
    images = [image._replace(image_id=new) for image, new in zip(images, ids, strict=True)]
    metadata = convert_table(pd.DataFrame(table, dtype=str), {column: column for column in table})
    return Found("folders", metadata, images, None, f"the folders in {folder.path}")


def _parts(image):
    return PurePosixPath(image.relative_path).parts
