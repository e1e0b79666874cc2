"""Choose the layout of a folder and read it."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lesions.datasets.archives import contains_file, list_archived_images
from lesions.datasets.image_files import (
    ImageFile,
    is_image,
    is_no_photograph,
    list_images,
    walk_files,
)
from lesions.datasets.layouts import (
    folders,
    ham10000,
    isic_archive,
    isic_challenge,
    pad_ufes_20,
    table,
)
from lesions.datasets.layouts.found import Folder, Found
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
    listed = Folder(
        folder,
        list_images(folder) + list_archived_images(folder),
        [path for path in walk_files(folder) if not is_image(path.name) and path.is_file()],
    )
    chosen = layout
    if layout == "auto":
        chosen = _recognise(listed, columns=columns, known=known, setting=setting)
    read = LAYOUTS[chosen].read
    found = read(listed, columns=columns, known=known, setting=setting)
    if layout == "auto":
        print(f"{setting.rpartition('.')[0]}.layout: auto took {chosen} ({found.name})")
    return found._replace(images=_match(found.images, set(found.metadata["image_id"])))


def _recognise(folder, *, columns, known, setting):
    """Return the only layout that fits; raise ValueError if none or several do."""
    found = {name: layout.find(folder, columns) for name, layout in BY_TABLE.items()}
    found = {name: paths for name, paths in found.items() if paths}
    if not found and folders.are_known(folder.images, known):
        return "folders"
    key = f"{setting.rpartition('.')[0]}.layout"
    if not found:
        names = ham10000.FILE_NAMES | isic_challenge.FILE_NAMES
        archives = [path for path in folder.files if path.suffix.lower() == ".zip"]
        zipped = [path for path in archives if contains_file(path, names)]
        advice = f"unpack it from {zipped[0]}" if zipped else f"correct {setting}"
        raise ValueError(
            f"No metadata in {folder.path} or below that is recognised ({_describe(folder)}); "
            f"{advice}, or run 'dvc pull', or set {key} to one of {', '.join(LAYOUTS)}"
        )
    if len(found) > 1:
        files = [
            f"{name} ({', '.join(str(path.relative_to(folder.path)) for path in paths)})"
            for name, paths in found.items()
        ]
        raise ValueError(
            f"{folder.path} ({setting}) fits several layouts: {'; '.join(files)}; set {key} to "
            "one of them, or move files away"
        )
    return next(iter(found))


def _describe(folder):
    """Return which tables and folders of images there are, shortly."""
    tables = [
        f"{path.relative_to(folder.path)} with {', '.join(read_header(path)[:9])}"
        for path in find_tables(folder.files)[:3]
    ]
    names = sorted({image.relative_path.rpartition("/")[0] or "." for image in folder.images})
    return f"tables: {'; '.join(tables) or 'none'}; images in {', '.join(names[:9]) or 'no folder'}"


def _match(images: list[ImageFile], ids: set[str]) -> list[ImageFile]:
    """Return the images by the ids of their rows, without masks that have no row."""
    matched, without_file = [], ids - {image.image_id for image in images}
    for image in images:
        stem = image.image_id
        others = {stem.removesuffix(DOWNSAMPLED), stem + DOWNSAMPLED} & without_file
        if stem in ids:
            matched.append(image)
        elif others:
            matched.append(image._replace(image_id=others.pop()))
        elif not is_no_photograph(stem):
            matched.append(image)
    return matched
