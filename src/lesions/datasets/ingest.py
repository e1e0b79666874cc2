"""Bring a set of photographs, from any source and layout, into one layout."""

import errno
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from lesions.datasets.archives import extract_images
from lesions.datasets.atomic import replace_folder, sibling
from lesions.datasets.diagnoses import count_excluded, resolve_diagnoses
from lesions.datasets.ham10000 import CODES, IMAGE_FOLDERS, METADATA
from lesions.datasets.image_files import BY_ID, JPEG_SUFFIXES, ImageFile, refuse_repeated_ids
from lesions.datasets.layouts.recognise import read_layout
from lesions.datasets.layouts.tables import read_table
from lesions.datasets.metadata import OTHER_METADATA
from lesions.datasets.metadata_schema import check_metadata
from lesions.datasets.sources import open_source
from lesions.datasets.synthetic.dataset import write_dataset
from lesions.imaging.formats import refuse_broken

# The setting of a source that leads to its photographs.
SETTINGS = {"dataverse": "dataset", "url": "files", "kaggle": "kind"}
# Another file system, one without hard links, a file of another owner, or with too many links.
NO_LINK = {errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK}
EXCLUDED = "excluded.csv"
SECOND_FOLDER = re.compile(r"ham10000_images_part_?2(?!\d)", re.IGNORECASE)


class Plan(NamedTuple):
    """What will be ingested, checked but for the content of the photographs."""

    layout: str
    metadata: pd.DataFrame  # with codes as dx
    images: list[ImageFile]  # one for each row, sorted by image_id
    excluded: pd.DataFrame  # `value` and `n_images` of the diagnoses that are left out
    file: Path | None  # the metadata's, if it can be copied as it is


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


def plan_ingest(
    source: str | Path,
    *,
    codes: Sequence[str],
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    extra_images: str = "refuse",
    setting: str,
) -> Plan:
    """Read the metadata in a folder, and find the photograph of each row; nothing is written.

    The parameters are those of `ingest_folder`.

    Raises
    ------
    ValueError
        If the layout is not recognised; the metadata have a fault; a diagnosis is unknown; a row
        has no image; an image has two files, or no row unless that is ignored; or an archive cannot
        be read.
    """
    map, section = map or {}, setting.rpartition(".")[0]
    found = read_layout(
        Path(source),
        layout=layout,
        columns=columns or {},
        known={*codes, *map, *exclude},
        setting=setting,
    )
    verbatim = found.metadata["dx"]
    dx = resolve_diagnoses(
        verbatim, codes=codes, map=map, exclude=exclude, name=found.name, section=section
    )
    kept = dx.notna()
    if len(dx) and not kept.any():
        raise ValueError(
            f"All {len(dx)} images of {found.name} are left out by {section}.exclude; shorten it"
        )
    metadata = _replace_diagnoses(found.metadata, dx)
    check_metadata(metadata, name=found.name, codes=codes)
    left_out = set(found.metadata["image_id"][~kept])
    if both := sorted(left_out & set(metadata["image_id"])):
        raise ValueError(
            f"{found.name} has several rows for {len(both)} images, of which one is left out and "
            f"one is not, first {both[0]}; keep one row per image"
        )
    images = _select(
        [image for image in found.images if image.image_id not in left_out],
        metadata["image_id"],
        extra_images=extra_images,
        setting=setting,
    )
    file = found.file if (dx == verbatim).all() else None
    return Plan(found.layout, metadata, images, count_excluded(verbatim, dx), file)


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
        `codes`, those of the classes; `layout`, a key of `lesions.datasets.layouts.recognise`'s
        `LAYOUTS`, or `auto`; `columns`, our columns to headings of the table; `map`, diagnoses to
        codes; `exclude`, diagnoses to leave out; `extra_images`, `refuse` or `ignore` image files
        that have no row in the metadata.

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


def _replace_diagnoses(metadata, dx):
    """Return the rows with a code; `diagnosis` keeps the source's words if a code differs."""
    kept = metadata.assign(dx=dx)[dx.notna()]
    verbatim = metadata["dx"][dx.notna()]
    if (verbatim == kept["dx"]).all():
        return kept
    return kept.assign(**{"dx_in_source" if "diagnosis" in kept else "diagnosis": verbatim})


def _rewrite_diagnoses(folder, *, section, **diagnoses):
    """Map the diagnoses of synthetic photographs, and write that none is left out."""
    metadata = read_table(folder / METADATA)
    dx = resolve_diagnoses(metadata["dx"], name=METADATA, section=section, **diagnoses)
    if (dx != metadata["dx"]).any():
        mapped = _replace_diagnoses(metadata, dx)
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
