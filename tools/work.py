"""How much every stage of a study has to do, to hold in memory and to leave on the disk."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import comb
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lesions.cohort import HAM10000_COUNTS, count_images
from lesions.folder import list_files
from lesions.ingestion import find_metadata
from lesions.medmnist import find_arrays
from lesions.metadata import read_metadata
from lesions.params.models import Model
from lesions.params.schema import Balance, Params, Split
from lesions.taxonomy import N_CLASSES
from lesions.zips import list_members

# Of 70 originals, ten of each diagnosis, each mean times HAM10000's number of that diagnosis.
HAM10000_MB = 2846
DRAWN_MB = 0.052  # a photograph of the demonstration, in the mean of its 800
# Without their tops, as Keras says while it downloads them; saved they take as much.
WEIGHTS_MB = {"cnn": 0, "vgg16": 59, "resnet50": 95}
CHANNELS = {"vgg16": 512, "resnet50": 2048}  # of the features, on 1/32 of the input's side


class Cohort(NamedTuple):
    """A study's photographs: how many of each dx, shares of the parts, megabytes of the JPEGs."""

    counts: Mapping[str, int]
    shares: Mapping[str, float]
    megabytes: float
    written: float  # of the megabytes, those that `ingest` writes; it links the others
    origin: str


class Job(NamedTuple):
    """A stage: how much it has to do, by the stage whose costs apply, to leave and to hold."""

    stage: str
    work: Mapping[str, Mapping[str, float]]
    megabytes: float = 0
    memory: Mapping[str, float] = {}


def read_cohort(params: Params) -> Cohort:
    """Count the photographs of a study; those that are not here yet are HAM10000's."""
    data, table, counts, megabytes = params.data, None, HAM10000_COUNTS, HAM10000_MB
    origin = "as HAM10000 has"
    if data.source == "demo":
        counts, megabytes = count_images(data.n_images), data.n_images * DRAWN_MB
        origin = "which the pipeline draws"
    elif data.source == "medmnist":
        megabytes = find_arrays(Path(data.path)).stat().st_size / 1e6
    written = megabytes
    if data.source == "folder" and any(weigh(data.path)):
        table, megabytes, written = read_folder(data.path, setting="data.path")
        counts, origin = table["dx"].value_counts().to_dict(), f"counted in {data.path}"
    return Cohort(counts, find_shares(params.split, table), megabytes, written, origin)


def read_folder(folder: str, *, setting: str) -> tuple[pd.DataFrame, float, float]:
    """Give the metadata of a folder, the megabytes of its JPEGs, and of those in archives."""
    table = read_metadata(find_metadata(folder, setting=setting))
    linked, packed = weigh(folder)
    return table, linked + packed, packed


def weigh(folder: str) -> tuple[float, float]:
    """Give the megabytes of JPEGs in a folder, as files and in archives; of no folder, none."""
    if not Path(folder).is_dir():
        return 0, 0
    files, members = list_files(folder), list_members(Path(folder))
    return (
        sum(image.path.stat().st_size for image in files) / 1e6,
        sum(image.member.file_size for image in members) / 1e6,
    )


def find_shares(split: Split, table: pd.DataFrame | None) -> dict[str, float]:
    """Give the share of images in each part; of a column that is not here yet, the sizes'."""
    if split.by == "column" and table is not None and split.column in table:
        counted = table[split.column].value_counts(normalize=True)
        return {part: counted.get(part, 0) for part in ("train", "val", "cal", "test")}
    test = 1 / split.folds if split.folds else split.test_size
    train = 1 - test - split.val_size - split.cal_size
    return {"train": train, "val": split.val_size, "cal": split.cal_size, "test": test}


def list_jobs(params: Params, cohort: Cohort) -> Iterator[Job]:
    """Give every stage in the order of dvc.yaml, but one model after the other."""
    counts, shares, megabytes, written, _ = cohort
    n_images = sum(counts.values())
    part = {name: share * n_images for name, share in shares.items()}
    trained = [count * shares["train"] for count in counts.values()]
    balanced = params.balance.method != "none"
    n_rows = len(trained) * max(trained) if balanced else part["train"]
    pixels = params.resize.pixels**2 * 3e-6
    here = {"photographs": n_images}
    ingest = here | {"megabytes": megabytes, "megabytes written": written}
    if params.data.source == "demo":
        ingest = {"photographs drawn": n_images}
    yield Job("ingest", {"ingest": ingest}, written)
    yield Job("explore", {"explore": here})
    yield Job("encode", {"encode": here})
    resize = {f"megabytes, {params.resize.decode}": megabytes}
    yield Job("resize", {"resize": resize | here}, n_images * pixels)
    yield Job("audit", {"audit": audit(params, n_images, megabytes)}, memory=here)
    yield Job("split", {"split": here})
    yield Job("balance", {"balance": {"values": count_pairs(params.balance, trained) * pixels}})
    for name, model in params.models.items():
        yield from list_jobs_of_a_model(params, name, model, part, n_rows)
    for name, folder in params.data.external.items():
        table, more, written = read_folder(folder, setting=f"data.external.{name}")
        n_more = len(table)
        there = {"photographs": n_more}
        work = {
            "ingest": there | {"megabytes": more, "megabytes written": written},
            "resize": there | {f"megabytes, {params.resize.decode}": more},
            "audit": audit(params, n_images + n_more, megabytes + more),
        }
        yield Job(f"external@{name}", work, written + n_more * pixels)
        for key, model in params.models.items():
            yield Job(f"predict_external@{key}-{name}", {"predict": forward(model, n_more)})
            yield Job(f"evaluate_external@{key}-{name}", {"evaluate": resample(params, n_more)})
    n_pairs = comb(len(params.models), 2)
    yield Job("compare", {"compare": resample(params, part["test"] * n_pairs)})
    yield Job("report", {"report": {}})
    yield Job("card", {"card": {}})


def list_jobs_of_a_model(params, name, model, part, n_rows) -> Iterator[Job]:
    """Give the six stages of a model."""
    if model.architecture not in WEIGHTS_MB:
        raise ValueError(
            f"models.{name}.architecture must be one of {', '.join(WEIGHTS_MB)} for a plan; what "
            f"{model.architecture} costs was never measured; add it to tools/work.py and to "
            "benchmarks/unit_costs.py, and run that"
        )
    held_out = part["val"] + part["cal"] + part["test"]
    features, dense = count_weights(model)
    n_frozen = n_rows + part["val"] if model.backbone else 0
    weights = WEIGHTS_MB[model.architecture]
    frozen = forward(model, n_frozen) if model.backbone else {model.architecture: 1}
    yield Job(
        f"features@{name}",
        {"features": frozen},
        weights + n_frozen * features * 4e-6,
        {f"pixels, {model.architecture}": model.input_size**2},
    )
    kind = "head" if model.backbone else "cnn"
    rows = model.epochs * (n_rows + part["val"] / 3)  # forward alone is a third of the work
    operations = dense if model.backbone else count_operations(model)
    train = {
        model.architecture: 1,
        f"steps, {kind}": model.epochs * n_rows / model.batch_size,
        f"operations, {kind}": rows * operations * 1e-9,
    }
    held = {"features": n_frozen * features * 4e-9, "pixels": 0.0}
    if not model.backbone:
        held["pixels"] = model.batch_size * model.input_size**2
    yield Job(f"train@{name}", {"train": train}, weights + dense * 4e-6, held)
    yield Job(f"predict@{name}", {"predict": forward(model, held_out)})
    yield Job(f"calibrate@{name}", {"calibrate": {}})
    yield Job(f"evaluate@{name}", {"evaluate": resample(params, part["test"])})
    yield Job(f"mistakes@{name}", {"mistakes": {}})


def audit(params: Params, n_images: int, megabytes: float) -> dict[str, float]:
    """Give what the search for near-duplicates has to do."""
    search = n_images**2 * 1e-6
    if params.audit.search == "approximate":
        search /= 2.9  # benchmarks/RESULTS.md, at 100,000
    compared = n_images * params.audit.n_neighbors
    return {"megabytes": megabytes, "comparisons": compared, "search": search}


def count_pairs(balance: Balance, trained: list[float]) -> float:
    """Count, in millions, the pairs of images between which over-sampling measures a distance."""
    rare = sorted(trained)[:-1]
    within = sum(count**2 for count in rare)
    among_all = sum(rare) * sum(trained)
    return {"adasyn": within + among_all, "smote": within}.get(balance.method, 0) * 1e-6


def forward(model: Model, n_images: float) -> dict[str, float]:
    """Give what it takes to send images through a model."""
    each = model.input_size**2 if model.backbone else count_operations(model)
    return {model.architecture: 1, f"forward, {model.architecture}": n_images * each * 1e-9}


def resample(params: Params, n_images: float) -> dict[str, float]:
    """Give what intervals take."""
    return {"resampled": n_images * params.evaluate.n_resamples * 1e-6}


def count_weights(model: Model) -> tuple[int, int]:
    """Count a model's features and the weights of its dense layers."""
    if model.backbone:
        places = (model.input_size // 32) ** 2 if model.backbone.pooling == "flatten" else 1
        n_features = CHANNELS[model.architecture] * places
    else:
        filters = model.head.filters
        n_features = (model.input_size // 2 ** len(filters)) ** 2 * filters[-1]
    layers = [n_features, *model.head.dense_units, N_CLASSES]
    return n_features, sum(one * two for one, two in pairwise(layers))


def count_operations(model: Model) -> int:
    """Count the multiplications of the paper's network for one image."""
    operations, side, channels = count_weights(model)[1], model.input_size, 3
    for width in model.head.filters:
        operations += side**2 * 9 * width * (channels + width)
        side, channels = side // 2, width
    return operations
