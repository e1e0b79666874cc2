"""The one schema of `params.yaml`: names, types, ranges and what excludes what."""

from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lesions.params.data import Data
from lesions.params.kinds import Count, Name, Section, Seed, Share, refuse_equal_in_lower_case
from lesions.params.models import Model


class Explore(Section):
    """Stage `explore`."""

    photographs_per_class: Annotated[int, Field(ge=1, le=50)]


class Resize(Section):
    """Stage `resize`; `pixels` is the height and the width."""

    pixels: Annotated[int, Field(ge=8, le=2048)]
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
        refuse_equal_in_lower_case("models", models)
        return dict(sorted(models.items()))  # DVC does not compare the order of keys

    @model_validator(mode="after")
    def _calibration_has_images(self) -> Self:
        given = self.split.cal_size > 0 or self.split.by == "column"
        if self.calibrate.method == "temperature" and not given:
            raise ValueError(
                "calibrate.method: temperature needs images that are set aside for it, and "
                "split.cal_size is 0; raise that, or set calibrate.method: none"
            )
        return self

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
