"""Bring a set of photographs, from any source and layout, into one layout."""

import errno
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lesions.datasets.archives import extract_images
from lesions.datasets.atomic import replace_folder, sibling
from lesions.datasets.ham10000 import CODES, IMAGE_FOLDERS, METADATA
from lesions.datasets.image_files import JPEG_SUFFIXES
from lesions.datasets.layouts.diagnoses import count_excluded, replace_diagnoses, resolve_diagnoses
from lesions.datasets.layouts.tables import read_table
from lesions.datasets.metadata import EXCLUDED, OTHER_METADATA
from lesions.datasets.plan import plan_ingest
from lesions.datasets.sources import open_source
from lesions.datasets.synthetic.dataset import write_dataset
from lesions.imaging.formats import refuse_broken

# The setting of a source that leads to its photographs.
SETTINGS = {"dataverse": "dataset", "url": "files", "kaggle": "kind"}
# Another file system, one without hard links, a file of another owner, or with too many links.
NO_LINK = {errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK}
SECOND_FOLDER = re.compile(r"ham10000_images_part_?2(?!\d)", re.IGNORECASE)


def ingest_set(
    raw: Path,
    *,
    name: str,
    codes: Sequence[str],
    path: Path,
    kind: str,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    extra_images: str = "refuse",
    **settings,
) -> None:
    """Write a set's photographs and metadata to the folder `raw`, completely or not at all.

    `name` is the set's, for messages, `codes` are those of the classes; all else are the settings
    `sets.<name>.source`, as described in `lesions.config.sets`. See `ingest_folder` for the
    layout; metadata of kind `dataverse` always become HAM10000's.

    Raises
    ------
    ValueError
        If the source is not available or its content has a fault.
    """
    diagnoses = {"codes": codes, "map": map or {}, "exclude": exclude}
    if kind == "synthetic":
        with replace_folder(raw) as new:
            write_dataset(new, codes=choose_drawn(**diagnoses, name=name), **settings)
            _rewrite_diagnoses(new, section=f"sets.{name}.source", **diagnoses)
        return
    setting = f"sets.{name}.source.{SETTINGS.get(kind, 'path')}"
    with open_source(kind, path, raw=raw, setting=setting, **settings) as folder:
        ingest_folder(
            folder,
            raw,
            layout=layout,
            columns=columns,
            as_ham10000=kind == "dataverse",
            extra_images=extra_images,
            setting=setting,
            **diagnoses,
        )


def choose_drawn(
    *, codes: Collection[str], map: Mapping[str, str], exclude: Collection[str], name: str
) -> list[str]:
    """Return the diagnoses of synthetic photographs that become a code of the set `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    drawn = [dx for dx in CODES if dx not in exclude and map.get(dx, dx) in codes]
    if not drawn:
        raise ValueError(
            f"None of the synthetic diagnoses {', '.join(CODES)} is one of classes.codes, "
            f"{', '.join(codes)}; map them to codes in sets.{name}.source.map"
        )
    return drawn


def ingest_folder(
    source: str | Path,
    destination: str | Path,
    *,
    as_ham10000: bool = False,
    setting: str,
    **options,
) -> None:
    """Bring a folder of photographs and metadata into one layout.

    Metadata and file names are checked before anything is written. Then images in folders are
    hard-linked (copied if the file system has no hard links), those in archives unpacked, and
    all of them decoded. `destination` is replaced if there is no fault; `source` never changes.

    Parameters
    ----------
    source : str or Path
        Has the metadata and the images anywhere below it, in folders or archives.
    destination : str or Path
        If the source has the layout `ham10000`: gets `HAM10000_metadata.csv` (copied byte for byte
        where possible) and `IMAGE_FOLDERS`: the second has the images from a folder or archive of
        that name, the first all others. Else it gets `metadata.csv` and the folder `images`.
        Files are called `<image_id>.jpg`, or by the suffix of their other format. `excluded.csv`
        counts the diagnoses that were left out.
    as_ham10000 : bool
        Whether to write HAM10000's layout whatever the source's.
    setting : str
        The setting of `params.yaml` that leads to `source`, for messages.
    **options
        Those of `lesions.datasets.plan.plan_ingest`.

    Raises
    ------
    ValueError
        As `plan_ingest`, or if a file is not a complete image.
    """
    source, destination = Path(source), Path(destination)
    _refuse_overlap(source, destination, setting=setting)
    plan = plan_ingest(source, setting=setting, **options)
    as_ham10000 = as_ham10000 or plan.layout == "ham10000"
    with replace_folder(destination) as new:
        for folder in IMAGE_FOLDERS if as_ham10000 else ["images"]:
            (new / folder).mkdir()
        metadata_file = new / (METADATA if as_ham10000 else OTHER_METADATA)
        if plan.file:
            shutil.copyfile(plan.file, metadata_file)
        else:
            plan.metadata.to_csv(metadata_file, index=False, lineterminator="\n")
        plan.excluded.to_csv(new / EXCLUDED, index=False, lineterminator="\n")
        targets = {
            image: new / (_image_folder(image) if as_ham10000 else "images") / _file_name(image)
            for image in plan.images
        }
        for image, target in targets.items():
            if image.member is None:
                _link(image.path, target)
        extract_images({image: target for image, target in targets.items() if image.member})
        refuse_broken({image.relative_path: target for image, target in targets.items()})


def _rewrite_diagnoses(folder, *, section, **diagnoses):
    """Map the diagnoses of synthetic photographs, and write that none is left out."""
    metadata = read_table(folder / METADATA)
    dx = resolve_diagnoses(metadata["dx"], name=METADATA, section=section, **diagnoses)
    if (dx != metadata["dx"]).any():
        mapped = replace_diagnoses(metadata, dx)
        mapped.to_csv(folder / METADATA, index=False, lineterminator="\n")
    nothing = count_excluded(metadata["dx"], dx)
    nothing.to_csv(folder / EXCLUDED, index=False, lineterminator="\n")


def _refuse_overlap(source, destination, *, setting):
    """Refuse to write into the user's folder, or to replace a folder that contains it."""
    ours = source.resolve()
    for theirs in (destination.resolve(), sibling(destination, "new").resolve()):
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            raise ValueError(
                f"{source} ({setting}) and the folder to write, {destination}, overlap, so that "
                f"your files would be changed; move your files and correct {setting}"
            )


def _image_folder(image):
    folders = PurePosixPath(image.relative_path).parts[:-1]
    return IMAGE_FOLDERS[any(SECOND_FOLDER.match(name) for name in folders)]


def _file_name(image):
    suffix = PurePosixPath(image.relative_path).suffix.lower()
    return f"{image.image_id}{'.jpg' if suffix in JPEG_SUFFIXES else suffix}"


def _link(path, target):
    """Hard-link a file, or copy it if that is impossible."""
    path = path.resolve()  # os.link would link a symbolic link itself
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(path, target)
