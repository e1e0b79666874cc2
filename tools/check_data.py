"""Check, before anything runs, the folders and files that settings name."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lesions.config import Params
from lesions.config.backbones import Pretrained
from lesions.config.sets import Source, Split
from lesions.datasets.ham10000 import CODES, COLUMNS
from lesions.datasets.ingest import choose_drawn
from lesions.datasets.layouts.diagnoses import resolve_diagnoses
from lesions.datasets.medmnist import find_arrays
from lesions.datasets.plan import Plan, plan_ingest
from lesions.datasets.synthetic.cohort import count_images
from lesions.explain.masks import SUFFIX
from lesions.networks.metadata import choose_encoding, encode_metadata
from lesions.networks.weights.files import check_digest
from lesions.networks.weights.packages import read_package
from lesions.sampling.split import partition_images

# What stages, DVC and Git write.
WRITTEN = ("data/sets", "models", "predictions", "evaluation", "exports", "metrics", "plots")
WRITTEN += ("explanations", "MODEL_CARD.md", ".checkpoints", ".dvc", ".git")
IGNORED_BY_DVC = (".dvc", ".git", ".hg")  # in its repository


def check_data(params: Params) -> None:
    """Raise ValueError if a named file cannot be read, or a class is too small to over-sample."""
    codes = params.classes.codes
    for name, photographs in params.sets.items():
        source, setting = photographs.source, f"sets.{name}.source.path"
        refuse_outputs(source.path, setting=setting)
        refuse_unhashable(source.path, setting=setting)
        if photographs.masks is not None:
            refuse_missing_masks(photographs.masks, setting=f"sets.{name}.masks")
        plan = plan_local(source, codes, name=name)
        if name == "study":
            column = getattr(photographs.split, "column", None)
            if plan is None:
                refuse_missing_columns(source.kind, params, column=column)
            else:
                refuse_missing_rows(plan.metadata, params, column=column)
        counts = count_by_code(source, plan, codes, name=name)
        if name == "study" and counts is not None:
            needs_neighbors = params.balance.method in ("adasyn", "smote")
            refuse_rare_classes(counts, params.balance.n_neighbors if needs_neighbors else 0)
            if plan is not None:
                refuse_single_lesions(plan.metadata, codes, photographs.split)
    for section in ("backbones", "models"):
        for name, entry in getattr(params, section).items():
            if hasattr(entry, "weights"):
                refuse_weights(entry, name=f"{section}.{name}")


def refuse_missing_masks(folder: str, *, setting: str) -> None:
    """Refuse a folder of masks that has none; stage `explain` reads them."""
    refuse_outputs(folder, setting=setting)
    if not any(Path(folder).glob(f"*{SUFFIX}")):
        raise ValueError(
            f"{setting}: {folder} has no file <image_id>{SUFFIX}; name the folder of the masks, or "
            "set it to null"
        )


def refuse_weights(entry: Pretrained, *, name: str) -> None:
    """Refuse a weights file that is missing or another one, and a package that is not installed."""
    try:
        if entry.weights not in ("imagenet", "random"):
            check_digest(Path(entry.weights), entry.weights_sha256)
        elif entry.weights == "imagenet" and hasattr(entry, "version"):
            read_package(entry.version)
    except ValueError as error:
        raise ValueError(f"{name}.weights: {error}") from None


def plan_local(source: Source, codes: Sequence[str], *, name: str) -> Plan | None:
    """Look at local files as stage `ingest` will, without decoding; return its plan of a folder."""
    diagnoses = {"codes": codes, "map": source.map, "exclude": source.exclude}
    setting = f"sets.{name}.source.path"
    if source.kind == "folder":
        settings = source.model_dump(include={"layout", "columns", "extra_images"})
        return plan_ingest(source.path, setting=setting, **diagnoses, **settings)
    if source.kind == "medmnist":
        find_arrays(Path(source.path), setting=setting)
        section = setting.rpartition(".")[0]
        resolve_diagnoses(pd.Series(CODES), name="DermaMNIST", section=section, **diagnoses)
    return None


def count_by_code(
    source: Source, plan: Plan | None, codes: Sequence[str], *, name: str
) -> dict[str, int] | None:
    """Return the number of images of each code; `None` if they are still to be downloaded."""
    counts = dict.fromkeys(codes, 0)
    if plan is not None:
        return counts | plan.metadata["dx"].value_counts().to_dict()
    if source.kind != "synthetic":
        return None
    drawn = choose_drawn(codes=codes, map=source.map, exclude=source.exclude, name=name)
    for dx, n_images in count_images(source.n_images, drawn).items():
        counts[source.map.get(dx, dx)] += n_images
    return counts


def refuse_missing_columns(kind: str, params: Params, *, column: str | None) -> None:
    """Refuse a split's column, or metadata of a model, that a known source does not have.

    `column` is `None` if the split is by another rule; of `url` and `kaggle` nothing is known.
    """
    columns = {"medmnist": ("partition",), "synthetic": COLUMNS, "dataverse": COLUMNS}.get(kind)
    if columns is None:
        return
    has = f"the photographs of a source of kind {kind} have"
    if column is not None and column not in columns:
        raise ValueError(
            f"sets.study.split.column: {has} no column {column!r}; split by another rule"
        )
    for name, model in params.models.items():
        for read in model.metadata:
            if read not in columns:
                raise ValueError(f"models.{name}.metadata: {has} no {read}; leave it out")


def refuse_single_lesions(metadata: pd.DataFrame, codes: Sequence[str], split: Split) -> None:
    """Refuse a class of one lesion, if that cannot be divided and has to be."""
    sizes = ("test_size", "val_size", "cal_size", "folds")
    if split.by not in ("lesion", "group") or not any(getattr(split, size) for size in sizes):
        return
    lesions = metadata.groupby("dx")["lesion_id"].nunique()
    for dx in codes:
        if lesions.get(dx) == 1:
            raise ValueError(
                f"All photographs of {dx} are of one lesion, and with split.by: {split.by} "
                "they cannot be both trained and tested on; remove it from classes.codes, map it "
                "to another class, or bring more lesions"
            )


def refuse_missing_rows(metadata: pd.DataFrame, params: Params, *, column: str | None) -> None:
    """Refuse metadata by which the split would fail, or that a model cannot read.

    `column` is `None` if the split is by another rule.
    """
    if column is not None:
        split = {"by": "column", "column": column, "seed": params.seed}
        partition_images(metadata, metadata, codes=params.classes.codes, **split)
    needed = params.evaluate.partition == "val" or params.calibrate.decision == "prior_adjusted"
    needed |= any(model.patience is not None for model in params.models.values())
    calibrate = params.calibrate
    needed |= (calibrate.method, calibrate.partition) == ("temperature", "val")
    needed |= any(ensemble.weights == "validation" for ensemble in params.ensembles.values())
    needed |= bool(params.exports)
    if column is not None and needed and "val" not in set(metadata[column]):
        raise ValueError(
            f"sets.study.split.column: no row of {column!r} is val, and validation images are "
            "needed; add such rows, or set evaluate.partition: test, calibrate.method: none, "
            "calibrate.decision: plain, exports: {}, patience: null of every model, and weights: "
            "equal of every ensemble"
        )
    for name, model in params.models.items():
        try:
            table = metadata.reindex(columns=[*metadata, *set(model.metadata) - set(metadata)])
            encode_metadata(table, choose_encoding(table, model.metadata))
        except ValueError as error:
            raise ValueError(f"models.{name}.metadata: {error}") from None


def refuse_outputs(folder: str, *, setting: str) -> None:
    """Refuse a folder that is, contains or is inside an output of a stage, of DVC or of Git."""
    real = os.path.realpath(folder)
    for output in WRITTEN:
        other = os.path.realpath(output)
        if os.path.commonpath([real, other]) in (real, other):
            raise ValueError(
                f"{setting}: {folder} overlaps with {output}, which stages, DVC or Git write; use "
                "a folder of its own, such as data/source"
            )


def refuse_unhashable(folder: str, *, setting: str) -> None:
    """Refuse what DVC cannot hash, or would wait for without an end.

    As DVC does, links to files are followed, links to folders are not.
    """
    if not os.path.isdir(folder) and not os.path.isfile(folder):
        raise ValueError(
            f"{setting}: {folder} is neither a folder nor a file; DVC watches it whatever the kind "
            "of source; use data/source if nothing is read from it"
        )

    def refuse(error: OSError) -> None:
        raise ValueError(
            f"{setting}: {error.filename} cannot be read ({error.strerror}); change its permissions"
        )

    skipped = IGNORED_BY_DVC if Path(folder).resolve().is_relative_to(Path.cwd()) else ()
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name not in skipped]
        for path in (os.path.join(parent, name) for name in folders + files):
            is_utf8 = path == path.encode(errors="replace").decode()
            if is_utf8 and (os.path.isfile(path) or os.path.isdir(path)):
                continue
            fault = "a broken link, pipe, socket or device" if is_utf8 else "a name not in UTF-8"
            raise ValueError(
                f"{setting}: DVC cannot hash {path!r} ({fault}); rename, move or delete it"
            )


def refuse_rare_classes(counts: dict[str, int], n_neighbors: int) -> None:
    """Refuse a class with too few images, test images included, for its neighbours."""
    rarest = min(counts, key=counts.get)
    if not counts[rarest]:
        raise ValueError(
            f"No photograph of the study is {rarest}; remove it from classes.codes, or correct "
            "sets.study.source.map or .exclude"
        )
    if counts[rarest] <= n_neighbors:
        raise ValueError(
            f"balance.n_neighbors is {n_neighbors}, but {rarest} has only {counts[rarest]} images, "
            "test images included; lower it, bring more images, or use balance.method: random"
        )
