"""Choose the layout of a folder and read it."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.archives import contains_file, list_archived_images
from lesions.datasets.image_files import ImageFile, is_no_photograph, list_images, walk_files
from lesions.datasets.layouts import (
    folders,
    ham10000,
    isic_archive,
    isic_challenge,
    pad_ufes_20,
    table,
)
from lesions.datasets.layouts.found import Found
from lesions.datasets.layouts.tables import find_tables, read_header

BY_TABLE = {
    "ham10000": ham10000,
    "isic_challenge": isic_challenge,
    "isic_archive": isic_archive,
    "pad_ufes_20": pad_ufes_20,
}
LAYOUTS = BY_TABLE | {"folders": folders, "table": table}
DOWNSAMPLED = "_downsampled"  # at the end of an image's id or file name, in ISIC 2018 and 2019


def read_layout(
    folder: Path, *, layout: str, columns: Mapping[str, str], known: Collection[str], setting: str
) -> Found:
    """Return the metadata and the photographs in a folder.

    Parameters
    ----------
    folder : Path
        Hidden files and `__MACOSX` in it are skipped.
    layout : str
        A key of `LAYOUTS`, or `auto`, which recognises it and prints which it took.
    columns : mapping of str to str
        Our column to its heading in the table, where that is not the layout's usual one.
    known : collection of str
        Diagnoses that become a code or are excluded.
    setting : str
        The setting of `params.yaml` that leads to the folder, for messages.

    Returns
    -------
    Found
        `metadata` has HAM10000's columns, all strings, dx in the source's own words. `images` has
        all photographs, each with the image_id of its row if there is one.

    Raises
    ------
    ValueError
        If there is no such folder, the layout is not recognised, or the metadata have a fault.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; correct {setting}, or run 'dvc pull'")
    images = list_images(folder) + list_archived_images(folder)
    chosen = layout
    if layout == "auto":
        chosen = _recognise(folder, images, columns=columns, known=known, setting=setting)
    read = LAYOUTS[chosen].read
    found = read(folder, images, columns=columns, known=known, setting=setting)
    if layout == "auto":
        print(f"{setting.rpartition('.')[0]}.layout: auto took {chosen} ({found.name})")
    return found._replace(images=_match(found.images, set(found.metadata["image_id"])))


def _recognise(folder, images, *, columns, known, setting):
    """Return the only layout that fits; raise ValueError if none or several do."""
    found = {name: layout.find(folder, columns) for name, layout in BY_TABLE.items()}
    found = {name: paths for name, paths in found.items() if paths}
    if not found and folders.are_known(images, known):
        return "folders"
    key = f"{setting.rpartition('.')[0]}.layout"
    if not found:
        names = ham10000.FILE_NAMES | isic_challenge.FILE_NAMES
        archives = [path for path in walk_files(folder) if path.suffix.lower() == ".zip"]
        zipped = [path for path in archives if contains_file(path, names)]
        advice = f"unpack it from {zipped[0]}" if zipped else f"correct {setting}"
        raise ValueError(
            f"No metadata in {folder} or below that is recognised ({_describe(folder, images)}); "
            f"{advice}, or run 'dvc pull', or set {key} to one of {', '.join(LAYOUTS)}"
        )
    if len(found) > 1:
        files = [
            f"{name} ({', '.join(str(path.relative_to(folder)) for path in paths)})"
            for name, paths in found.items()
        ]
        raise ValueError(
            f"{folder} ({setting}) fits several layouts: {'; '.join(files)}; set {key} to one of "
            "them, or move files away"
        )
    return next(iter(found))


def _describe(folder, images):
    """Return which tables and folders of images there are, shortly."""
    tables = [
        f"{path.relative_to(folder)} with {', '.join(read_header(path)[:9])}"
        for path in find_tables(folder)[:3]
    ]
    names = sorted({image.relative_path.rpartition("/")[0] or "." for image in images})
    return f"tables: {'; '.join(tables) or 'none'}; images in {', '.join(names[:9]) or 'no folder'}"


def _match(images: list[ImageFile], ids: set[str]) -> list[ImageFile]:
    """Return the images by the ids of their rows, without masks that have no row."""
    matched, stems = [], {image.image_id for image in images}
    for image in images:
        stem = image.image_id
        others = {stem.removesuffix(DOWNSAMPLED), stem + DOWNSAMPLED} & ids - stems
        if stem in ids:
            matched.append(image)
        elif others:
            matched.append(image._replace(image_id=others.pop()))
        elif not is_no_photograph(stem):
            matched.append(image)
    return matched
