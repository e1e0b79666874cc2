"""Whether the photographs that settings name can be had, and be watched by DVC."""

import os
import re
import stat
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import yaml

from lesions.cohort import count_images
from lesions.ingestion import find_metadata
from lesions.medmnist import find_arrays
from lesions.metadata import read_metadata
from lesions.params import Params
from lesions.taxonomy import CODES

OWN = (".dvc", ".git", ".hg")  # DVC and Git write there, and DVC passes over them in its repository
NOT_HASHED = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_data(settings: Params, place: str) -> None:
    """Look at all folders that `settings` name, and count images; messages say `place`, their file.

    Raises
    ------
    ValueError
        Where a folder is not there or has no metadata, where stages write in it, where DVC cannot
        hash what lies in it, or where a diagnosis has too few images to over-sample.
    """
    data = settings.data
    external = {f"data.external.{name}": folder for name, folder in data.external.items()}
    written = [*OWN, *list_outputs([*settings.models, *data.external])]
    outputs = [os.path.realpath(path) for path in written]
    for setting, folder in {"data.path": data.path, **external}.items():
        refuse_overlap(folder, outputs, setting=setting, place=place)
        refuse_not_hashed(folder, setting=setting)
        if setting != "data.path" or data.source == "folder":
            refuse_without_metadata(folder, setting=setting, place=place)
        elif data.source == "medmnist":
            find_arrays(Path(folder))
        elif fault := find_fault(folder):
            raise ValueError(
                "data.path must be a folder or a file, for DVC watches it whatever data.source is; "
                f"{folder} is {fault}; set data.path in {place}, to data/source for one."
            )
    refuse_few_images(settings)


def list_outputs(names: list[str]) -> Iterator[str]:
    """Give all that stages write, by `dvc.yaml`, for models and external sets of these names."""
    for stage in yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        stage = stage.get("do", stage)
        for kind in ("outs", "metrics", "plots"):
            for written in stage.get(kind, ()):
                path = written if isinstance(written, str) else next(iter(written))
                path, n_names = re.subn(r"\$\{[^}]*\}", "{}", path)
                yield from (path.format(*chosen) for chosen in product(names, repeat=n_names))


def refuse_overlap(folder: str, outputs: list[str], *, setting: str, place: str) -> None:
    """Refuse a folder that is, holds or lies in one of these outputs; links are followed."""
    here = os.path.realpath(folder)
    for there in outputs:
        common = os.path.commonpath([here, there])
        if common in (here, there):
            how = "is" if here == there else "holds" if common == here else "lies in"
            raise ValueError(
                f"{setting} must lie apart from what stages, DVC and Git write; {folder} {how} "
                f"{there}; set {setting} in {place} to a folder of its own, as data/source is."
            )


def refuse_not_hashed(folder: str, *, setting: str) -> None:
    """Refuse a folder that holds what DVC would fail on, or wait for without an end."""
    try:
        found = sorted(find_not_hashed(folder)) if os.path.isdir(folder) else []
    except OSError as error:
        raise ValueError(
            f"every folder in {setting} must be readable; {error.filename} is not: "
            f"{error.strerror}; see its rights."
        ) from None
    if found:
        path, what = found[0]
        raise ValueError(
            f"every file in {setting} must be one that DVC can hash; {len(found)} in {folder} are "
            f"not, first {path}, {what}; rename, move or delete such files."
        )


def find_not_hashed(folder: str) -> Iterator[tuple[str, str]]:
    """Give each file below `folder` that DVC cannot hash, and what it is.

    As DVC does, a link to a file is followed, and one to a folder is not.
    """
    ours = Path(folder).resolve().is_relative_to(Path.cwd())
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if not entry.name.isascii() and not is_utf8(entry.name):
                    yield entry.path, "whose name is not UTF-8"
                elif entry.is_dir(follow_symlinks=False):
                    if not (ours and entry.name in OWN):
                        folders.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) and (fault := find_fault(entry)):
                    yield entry.path, fault


def find_fault(path: str | os.PathLike) -> str | None:
    """Say what `path` is, if neither a folder nor a file."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return "a link to nothing" if os.path.islink(path) else "not there"
    return NOT_HASHED.get(stat.S_IFMT(mode))


def is_utf8(name: str) -> bool:
    """Tell whether a name, as Python gives it, is text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse_without_metadata(folder: str, *, setting: str, place: str) -> None:
    """Refuse a folder that is not there or has not one file of metadata."""
    try:
        find_metadata(folder, setting=setting)
    except (ValueError, OSError) as error:
        part = "'The data' where to get it"
        if setting != "data.path":
            part = "'Photographs from elsewhere' what must lie there"
        raise ValueError(
            f"{error}\nREADME.md says under {part}; if it lies elsewhere, set {setting} in {place}."
        ) from None


def refuse_few_images(settings: Params) -> None:
    """Refuse a rarest diagnosis of too few images, as far as the data are here to count."""
    data, balance = settings.data, settings.balance
    if balance.method not in ("adasyn", "smote") or data.source not in ("demo", "folder"):
        return
    if data.source == "demo":
        counts = pd.Series(count_images(data.n_images))
    else:
        counts = read_metadata(find_metadata(data.path))["dx"].value_counts()
        counts = counts.reindex(CODES, fill_value=0)
    if counts.min() <= balance.n_neighbors:
        raise ValueError(
            f"balance.n_neighbors must be below the number of images of every diagnosis; it is "
            f"{balance.n_neighbors}, and {counts.idxmin()} has {counts.min()} images, those to "
            "test on included; bring more images, lower it, or, where every diagnosis has some, "
            "use balance.method: random."
        )
