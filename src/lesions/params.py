"""The one schema of `params.yaml`: names, types, ranges and what excludes what."""

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lesions.taxonomy import PARTITIONS

SMALLEST_INPUT = 32  # px: below it keras.applications builds neither VGG16 nor ResNet50
LONGEST_NAME = 40  # characters: two names share a file's name, and a table's row
LONGEST_DOWNLOAD = 200  # bytes; file systems allow 255, and a half-done one has a longer name
SAID_OF_THE_STUDY = ("measured", "published", *PARTITIONS)

Count = Annotated[int, Field(ge=1, lt=2**31)]  # from 2**63 on TensorFlow takes none for a number
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# A flag begins with a hyphen, so a name may not.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)]


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also reads 1e-05, as DVC writes it, as a number (YAML 1.2).

    As DVC's, it refuses a key that stands twice, of which PyYAML would take the last.
    """

    def construct_mapping(self, node, deep=False):
        """Give the mapping of a node; refuse a key that stands twice."""
        keys = [key.value for key, _ in node.value]
        twice = [key for place, key in enumerate(keys) if key in keys[:place]]
        if twice:
            problem = f"the key {twice[0]} stands twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


class ParamsError(ValueError):
    """`params.yaml` breaks the schema; the message names every key, value and allowed range."""


class Section(BaseModel):
    """A part of the file: no unknown key, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class File(Section):
    """A file to download; without its SHA-256, the first one met is the right one."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None

    @property
    def name(self) -> str:
        """The file name that the URL ends in; '' where it ends in none."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return "" if name in (".", "..") else name


class Data(Section):
    """Stage `ingest`."""

    source: Literal["demo", "folder", "dataverse", "url", "kaggle", "medmnist"]
    path: Annotated[str, Field(min_length=1)]
    files: list[File]
    extra_images: Literal["refuse", "ignore"]
    n_images: Annotated[int, Field(ge=60, le=9_000_000)]
    seed: Seed
    external: dict[Name, Annotated[str, Field(min_length=1)]]

    @field_validator("external")
    @classmethod
    def _names_are_free(cls, external: dict[str, str]) -> dict[str, str]:
        _refuse_equal_in_lower_case("external sets", external)
        for name in external:
            if name.lower() in SAID_OF_THE_STUDY:
                raise ValueError(
                    f"an external set may not be named {name}: the tables say "
                    f"{', '.join(SAID_OF_THE_STUDY)} of the study's own numbers"
                )
        return external

    @model_validator(mode="after")
    def _url_has_files(self) -> Self:
        if self.source == "url" and not self.files:
            raise ValueError("source: url needs the files to download, {url, sha256}, in 'files'")
        named = {}
        for file in self.files:
            if len(file.name.encode()) > LONGEST_DOWNLOAD:
                raise ValueError(
                    f"the file name that a URL in 'files' ends in may have {LONGEST_DOWNLOAD} "
                    f"bytes; that of {file.url} has {len(file.name.encode())}; rename the file on "
                    "the server"
                )
            if not file.name or file.name in named:
                other = named.get(file.name)
                raise ValueError(
                    "every URL in 'files' must end in a file name of its own, for they come to lie "
                    f"in one folder; {file.url} ends in {f'that of {other}' if other else 'none'}; "
                    "rename the file on the server"
                )
            named[file.name] = file.url
        return self


class Explore(Section):
    """Stage `explore`."""

    photographs_per_class: Annotated[int, Field(ge=1, le=50)]


class Resize(Section):
    """Stage `resize`; size in px."""

    size: Annotated[int, Field(ge=8, le=2048)]
    interpolation: Literal["nearest", "linear", "area", "cubic", "lanczos"]
    crop: Literal["none", "square"]
    decode: Literal["full", "reduced"]


class Audit(Section):
    """Stage `audit`; similarity is a correlation."""

    similarity: Annotated[float, Field(gt=0, le=1)]
    n_neighbors: Count
    search: Literal["exact", "approximate"]


class Split(Section):
    """Stage `split`; sizes are shares of the whole."""

    by: Literal["image", "lesion", "group", "column"]
    column: str | None
    test_size: Annotated[float, Field(gt=0, lt=1)]
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
                f"fold must be from 0 to folds - 1; fold is {self.fold}, folds {self.folds}"
            )
        if self.folds and self.by == "column":
            raise ValueError("folds need by: image, lesion or group; by: column has its own parts")
        return self

    @model_validator(mode="after")
    def _sizes_leave_training_images(self) -> Self:
        test_size = 1 / self.folds if self.folds else self.test_size
        held_out = test_size + self.val_size + self.cal_size
        if held_out >= 1:
            raise ValueError(
                f"test_size + val_size + cal_size must stay below 1, so that images are left to "
                f"train on; they add up to {held_out:g}"
            )
        if self.by == "column" and not self.column:
            raise ValueError("by: column needs the name of the metadata's column in 'column'")
        return self


class Balance(Section):
    """Stage `balance`."""

    method: Literal["adasyn", "smote", "random", "none"]
    n_neighbors: Count


class Backbone(Section):
    """The pretrained, frozen part of a model."""

    weights: Annotated[str, Field(pattern=r"^(imagenet|random|.+\.h5)$")]
    pooling: Literal["flatten", "average", "max"]


class Head(Section):
    """The trained part: widths of its layers, `filters` only where it convolves."""

    filters: list[Count] | None = None
    dense_units: list[Count]
    dropout: Share


class Model(Section):
    """Stages `features`, `train` and `predict` of one model."""

    architecture: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    backbone: Backbone | None
    input_size: Annotated[int, Field(ge=8, le=2048)]
    preprocessing: Literal["unit", "imagenet"]
    standardise: bool
    head: Head
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    batch_size: Count
    epochs: Count
    keep_epoch: Literal["val_loss", "val_accuracy", "last"]

    @field_validator("architecture")
    @classmethod
    def _has_a_file(cls, name: str) -> str:
        files = sorted((Path(__file__).parent / "networks").glob("[a-z]*.py"))
        known = [file.stem for file in files if file.stem != "parts"]
        if name not in known:
            raise ValueError(
                f"must have a file src/lesions/networks/{name}.py; there are {', '.join(known)}"
            )
        return name

    @model_validator(mode="after")
    def _a_backbone_has_room(self) -> Self:
        if self.backbone is not None and self.input_size < SMALLEST_INPUT:
            raise ValueError(
                f"input_size must be at least {SMALLEST_INPUT} px for a backbone, which halves it "
                f"five times; it is {self.input_size}"
            )
        return self

    @model_validator(mode="after")
    def _only_a_backbone_has_features(self) -> Self:
        if self.backbone is None and self.preprocessing == "imagenet":
            raise ValueError("preprocessing: imagenet belongs to a backbone, and backbone is null")
        if self.backbone is None and self.standardise:
            raise ValueError("standardise: true needs a backbone's features, and backbone is null")
        return self


class Calibrate(Section):
    """Stage `calibrate`; coverage is the share of prediction sets that hold the diagnosis."""

    method: Literal["temperature", "none"]
    coverage: Annotated[float, Field(gt=0, lt=1)]


class Evaluate(Section):
    """Stages `evaluate`, `mistakes` and `compare`."""

    decimals: Annotated[int, Field(ge=1, le=12)]
    n_resamples: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_group_size: Count
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    n_mistakes: Annotated[int, Field(ge=1, le=100)]


class Repeat(Section):
    """`make repeat`: what moves from run to run."""

    by: Literal["seed", "fold"]


class Params(Section):
    """The whole of `params.yaml`."""

    profile: Name
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=256)]
    data: Data
    explore: Explore
    resize: Resize
    audit: Audit
    split: Split
    balance: Balance
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    calibrate: Calibrate
    evaluate: Evaluate
    repeat: Repeat

    @field_validator("models")
    @classmethod
    def _models_have_files_of_their_own(cls, models: dict[str, Model]) -> dict[str, Model]:
        _refuse_equal_in_lower_case("models", models)
        return models

    @model_validator(mode="after")
    def _models_on_sets_have_names_of_their_own(self) -> Self:
        names = {model.lower(): model for model in self.models}
        stages = {}  # DVC joins with '-', and of two stages with one name it drops the first
        for pair in product(self.models, self.data.external):
            for known, joint in ((names, "_on_"), (stages, "-")):
                other = known.setdefault(joint.join(pair).lower(), f"{pair[0]} on {pair[1]}")
                if other != f"{pair[0]} on {pair[1]}":
                    raise ValueError(
                        f"{pair[0]} on {pair[1]} and {other} would both be called "
                        f"{joint.join(pair)}; rename the model or the external set"
                    )
        return self


def read_params(path: Path) -> Params:
    """Read `path` through the schema.

    Raises
    ------
    ParamsError
        If the file is missing, is no YAML, or breaks the schema; every breach has its own line.
    """
    return parse_params(read_text(path), place=str(path))


def read_text(path: Path) -> str:
    """Give the text of a params file.

    Raises
    ------
    ParamsError
        If there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path} must exist; run from the repository's folder") from None
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} must be text in UTF-8; byte {error.start + 1} is not; save it as UTF-8"
        ) from None


def parse_params(text: str, *, place: str) -> Params:
    """Read the text of a params file, which messages say is in `place`, through the schema.

    Raises
    ------
    ParamsError
        If it is no YAML, or breaks the schema; every breach has its own line.
    """
    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{place} must be YAML; {error}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        breaches = "\n".join(_describe(breach) for breach in error.errors())
        raise ParamsError(
            f"{error.error_count()} setting(s) in {place} must change:\n{breaches}"
        ) from None


def _refuse_equal_in_lower_case(what: str, names: Iterable[str]) -> None:
    known = {}
    for name in names:
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(
                f"{what} must differ by more than case, which file names on macOS and Windows do "
                f"not tell apart; found {other} and {name}; rename one of them"
            )


def _describe(breach) -> str:
    key = ".".join(str(part) for part in breach["loc"]) or "the file"
    if breach["type"] == "extra_forbidden":
        return f"  {key}: no such setting; look for a misspelt name"
    if breach["type"] == "missing":
        return f"  {key}: is missing; params.yaml in Git shows every setting"
    if breach["loc"][-1:] == ("[key]",):
        return (
            f"  {key}: a name may have letters, digits, - and _ only, no - in front, and at most "
            f"{LONGEST_NAME} characters; found {breach['input']!r}"
        )
    if breach["type"] == "value_error" and isinstance(breach["input"], dict):
        return f"  {key}: {breach['msg']}"  # ours, which names what it found; a section is long
    return f"  {key}: {breach['msg']}; found {breach['input']!r}"
