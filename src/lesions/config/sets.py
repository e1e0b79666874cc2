"""Sets of photographs: the section `sets`."""

from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from lesions.config.types import Diagnosis, Name, Path, Section, Seed, Sha256, Share

MAX_FILE_NAME = 200  # bytes; file systems allow 255, and a partial download has a longer name

Layout = Literal[
    "auto", "ham10000", "isic_challenge", "isic_archive", "pad_ufes_20", "folders", "table"
]
Column = Literal[
    "image_id",
    "dx",
    "lesion_id",
    "patient_id",
    "age",
    "sex",
    "localization",
    "dx_type",
    "partition",
]


class Diagnoses(Section):
    """What becomes of the diagnoses in a source's own words."""

    map: dict[Diagnosis, Name] = Field(default={})  # to a code of `classes`
    exclude: list[Diagnosis] = Field(default=[])  # left out and counted

    @model_validator(mode="after")
    def _either_mapped_or_excluded(self) -> Self:
        both = [value for value in self.exclude if value in self.map]
        if both:
            raise ValueError(f"{both[0]!r} is in map and in exclude; remove it from one of them")
        return self


class Table(Diagnoses):
    """How the metadata are laid out; `columns` names columns that are called differently."""

    layout: Layout = "auto"
    columns: dict[Column, Annotated[str, Field(min_length=1)]] = Field(default={})

    @model_validator(mode="after")
    def _a_table_names_its_columns(self) -> Self:
        missing = [column for column in ("image_id", "dx") if column not in self.columns]
        if self.layout == "table" and missing:
            raise ValueError(
                f"layout: table needs columns.{missing[0]}; add 'columns: {{{missing[0]}: <heading "
                "in the file>}'"
            )
        return self


class SyntheticSource(Diagnoses):
    """Photographs that the pipeline draws."""

    kind: Literal["synthetic"]
    path: Path
    n_images: Annotated[int, Field(ge=60, le=9_000_000)]
    seed: Seed


class MedmnistSource(Diagnoses):
    """A `dermamnist*.npz`: the file, or the folder that holds it."""

    kind: Literal["medmnist"]
    path: Path


class FolderSource(Table):
    """Photographs and metadata in the user's folder."""

    kind: Literal["folder", "kaggle"]
    path: Path
    extra_images: Literal["refuse", "ignore"]


class DataverseSource(Diagnoses):
    """HAM10000, or the test images of ISIC 2018 task 3, from Harvard Dataverse."""

    kind: Literal["dataverse"]
    path: Path
    dataset: Literal["ham10000", "isic2018_test"]
    extra_images: Literal["refuse", "ignore"]


class File(Section):
    """A file to download; without a SHA-256, that of the first download is recorded."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S+$")]
    sha256: Sha256 | None

    @field_validator("url")
    @classmethod
    def _refuse_malformed(cls, url: str) -> str:
        try:
            urlsplit(url)
        except ValueError as error:  # a bracket that is not closed, for example
            raise ValueError(f"not a valid URL: {error}") from None
        return url

    @property
    def name(self) -> str:
        """The file name at the end of the URL; empty if there is none."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return "" if name in (".", "..") else name


class UrlSource(Table):
    """Files at addresses of the user's own."""

    kind: Literal["url"]
    path: Path
    files: Annotated[list[File], Field(min_length=1)]
    extra_images: Literal["refuse", "ignore"]

    @field_validator("files")
    @classmethod
    def _refuse_unusable_names(cls, files: list[File]) -> list[File]:
        known = {}
        for file in files:
            if len(file.name.encode()) > MAX_FILE_NAME:
                raise ValueError(
                    f"the file name of {file.url} has {len(file.name.encode())} bytes; at most "
                    f"{MAX_FILE_NAME} are possible; rename the file on the server"
                )
            if not file.name:
                raise ValueError(f"{file.url} does not end in a file name; use the file's own URL")
            if file.name in known:
                raise ValueError(
                    f"{known[file.name]} and {file.url} end in the same file name; rename one of "
                    "the files on its server"
                )
            known[file.name] = file.url
        return files


Source = Annotated[
    SyntheticSource | MedmnistSource | FolderSource | DataverseSource | UrlSource,
    Field(discriminator="kind"),
]


class NoSplit(Section):
    """All images are test images: the set is external to the study."""

    by: Literal["none"]


class ColumnSplit(Section):
    """A column of the metadata says `train`, `val`, `cal` or `test`."""

    by: Literal["column"]
    column: Annotated[str, Field(min_length=1)]


class RandomSplit(Section):
    """A random split; sizes are shares of all images, lesions or groups."""

    by: Literal["image", "lesion", "group"]
    test_size: Share
    val_size: Share
    cal_size: Share
    folds: Annotated[int, Field(ge=0, le=100)]
    fold: Annotated[int, Field(ge=0, lt=100)]

    @model_validator(mode="after")
    def _folds_fit(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds must be 0 (one random split) or at least 2")
        if self.fold >= max(self.folds, 1):
            raise ValueError(
                f"fold must be between 0 and folds - 1; fold is {self.fold}, folds is {self.folds}"
            )
        return self

    @model_validator(mode="after")
    def _training_images_remain(self) -> Self:
        test_size = 1 / self.folds if self.folds else self.test_size
        held_out = test_size + self.val_size + self.cal_size
        if held_out >= 1:
            raise ValueError(
                "test_size + val_size + cal_size must be below 1, so that training images remain; "
                f"the sum is {held_out:g}"
            )
        return self


Split = Annotated[NoSplit | ColumnSplit | RandomSplit, Field(discriminator="by")]


class PhotoSet(Section):
    """Stages `ingest` to `split` of one set; stage `explain` reads the masks of the study."""

    source: Source
    split: Split
    masks: Path | None = None  # apart from source, so that masks ingest nothing anew


def has_test_images(split: Split) -> bool:
    """Return whether a split leaves test images; that a column does, stage `split` checks."""
    return split.by == "column" or bool(split.folds or split.test_size)


# What tells the photographs of one source from those of another.
ORIGIN = {"kind", "path", "seed", "dataset", "files"}


def check_sets(sets: dict[Name, PhotoSet]) -> None:
    """Raise ValueError unless `study` is split and every other set is for testing alone."""
    if "calibration" in sets:
        raise ValueError(
            "a set cannot be called calibration: evaluation/calibration holds the calibrations"
        )
    if "study" not in sets:
        raise ValueError("the set `study` is missing: the photographs that models are trained on")
    if getattr(sets["study"].source, "dataset", None) == "isic2018_test":
        raise ValueError(
            "study.source.dataset is isic2018_test: the official test images of ISIC 2018 are only "
            "ever tested on; use ham10000, and isic2018_test as the source of another set"
        )
    of_study = sets["study"].source.model_dump(include=ORIGIN)
    for name, photographs in sets.items():
        if (name == "study") == (photographs.split.by == "none"):
            raise ValueError(
                f"{name}.split.by is {photographs.split.by}; it must be image, lesion, group or "
                "column for `study`, and none for every other set, which is only tested on"
            )
        if name != "study" and photographs.masks is not None:
            raise ValueError(
                f"{name}.masks is {photographs.masks}, but only the study's validation photographs "
                "are explained; remove it"
            )
        if name != "study" and photographs.source.model_dump(include=ORIGIN) == of_study:
            raise ValueError(
                f"{name}.source has the photographs of the study "
                f"({', '.join(f'{key}: {value}' for key, value in of_study.items())}), on which "
                "models are trained; change it, or remove the set"
            )
