"""What will be ingested from a folder: the metadata, and the photograph of each row."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lesions.datasets.image_files import BY_ID, ImageFile, refuse_repeated_ids
from lesions.datasets.layouts.diagnoses import count_excluded, replace_diagnoses, resolve_diagnoses
from lesions.datasets.layouts.recognise import read_layout
from lesions.datasets.metadata_schema import check_metadata


class Plan(NamedTuple):
    """What will be ingested, checked but for the content of the photographs."""

    layout: str
    metadata: pd.DataFrame  # with codes as dx
    images: list[ImageFile]  # one for each row, sorted by image_id
    excluded: pd.DataFrame  # `value` and `n_images` of the diagnoses that are left out
    file: Path | None  # the metadata's, if it can be copied as it is


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

    Parameters
    ----------
    source : str or Path
        Has the metadata and the images anywhere below it, in folders or archives.
    codes : sequence of str
        Those of the classes.
    layout : str
        A key of `lesions.datasets.layouts.recognise.LAYOUTS`, or `auto`.
    columns : mapping of str to str
        Our columns to headings of the table, where these are not the layout's usual ones.
    map : mapping of str to str
        Diagnoses in the source's words to codes.
    exclude : collection of str
        Diagnoses to leave out.
    extra_images : {'refuse', 'ignore'}
        What to do with image files that have no row in the metadata.
    setting : str
        The setting of `params.yaml` that leads to `source`, for messages.

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
        known={*codes, *(code.lower() for code in codes), *map, *exclude},
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
    metadata = replace_diagnoses(found.metadata, dx)
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
