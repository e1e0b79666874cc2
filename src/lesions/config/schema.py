"""The schema of `params.yaml`: names, types, ranges, and what must fit together."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from lesions.config.backbones import Backbone
from lesions.config.classes import Classes
from lesions.config.models import Model
from lesions.config.sets import PhotoSet, check_sets, has_test_images
from lesions.config.types import (
    Count,
    Name,
    Pixels,
    Section,
    Seed,
    refuse_repeated,
    sort_names,
)


class Explore(Section):
    """Stage `explore`."""

    photographs_per_class: Annotated[int, Field(ge=1, le=50)]


class Resize(Section):
    """Stage `resize`; `pixels` is height and width."""

    pixels: Pixels
    interpolation: Literal["nearest", "linear", "area", "cubic", "lanczos"]
    crop: Literal["none", "square"]
    decode: Literal["full", "reduced"]


class Audit(Section):
    """Stages `embed` and `audit`; similarity is a correlation, matches are keypoints."""

    method: Literal["pixels", "embedding", "both"]
    similarity: Annotated[float, Field(gt=0, le=1)]
    min_matches: Annotated[int, Field(ge=3, le=300)]
    n_neighbors: Count
    search: Literal["exact", "approximate"]


class Balance(Section):
    """Stage `balance`."""

    method: Literal["adasyn", "smote", "random", "none"]
    n_neighbors: Count


class Ensemble(Section):
    """Stage `ensemble`: the mean of several models' predictions."""

    models: Annotated[list[str], Field(min_length=2), AfterValidator(refuse_repeated)]
    weights: Literal["equal", "validation"]


class Export(Section):
    """Stage `export`; false_alarms is a share of validation images."""

    weights: Literal["float32", "float16", "int8"]
    false_alarms: Annotated[float, Field(gt=0, lt=1)]


class Predict(Section):
    """Stage `predict`; tta is test-time augmentation, the mean over several views of an image."""

    tta: Literal["none", "flips", "dihedral"]


class Calibrate(Section):
    """Stage `calibrate`; coverage is the share of prediction sets that hold the diagnosis."""

    method: Literal["temperature", "none"]
    partition: Literal["cal", "val"]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    decision: Literal["plain", "prior_adjusted"]


class Evaluate(Section):
    """Stages `evaluate`, `mistakes` and `compare`; partition says whose images are scored."""

    partition: Literal["val", "test"]
    decimals: Annotated[int, Field(ge=1, le=12)]
    n_resamples: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_group_size: Count
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    n_mistakes: Annotated[int, Field(ge=1, le=100)]


class Repeat(Section):
    """`make repeat`: what changes from run to run."""

    by: Literal["seed", "fold"]


class Params(Section):
    """All of `params.yaml`."""

    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=40)]
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=256)]
    classes: Classes
    sets: dict[Name, PhotoSet]
    explore: Explore
    resize: Resize
    audit: Audit
    balance: Balance
    backbones: dict[Name, Backbone]
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    ensembles: dict[Name, Ensemble]
    exports: dict[Name, Export]
    predict: Predict
    calibrate: Calibrate
    evaluate: Evaluate
    repeat: Repeat

    def shown_settings(self) -> dict:
        """Return all settings but those of models that have their default, for reports.

        A set without masks has no such key either.
        """
        models = {name: m.model_dump(exclude_defaults=True) for name, m in self.models.items()}
        shown = self.model_dump() | {"models": models}
        for photographs in shown["sets"].values():
            if photographs["masks"] is None:
                del photographs["masks"]
        return shown

    @field_validator("sets", "backbones", "models", "ensembles", "exports")
    @classmethod
    def _sort(cls, entries: dict) -> dict:
        return sort_names(entries)

    @field_validator("sets")
    @classmethod
    def _check_sets(cls, sets: dict[str, PhotoSet]) -> dict[str, PhotoSet]:
        check_sets(sets)
        return sets

    @model_validator(mode="after")
    def _diagnoses_are_mapped_to_codes(self) -> Self:
        for name, photographs in self.sets.items():
            for value, code in photographs.source.map.items():
                if code not in self.classes.codes:
                    raise ValueError(
                        f"sets.{name}.source.map: {value!r} is mapped to {code}, which "
                        f"classes.codes lacks; it has {', '.join(self.classes.codes)}"
                    )
        return self

    @model_validator(mode="after")
    def _every_backbone_is_read(self) -> Self:
        read = {
            model.inputs.removeprefix("features/"): name
            for name, model in self.models.items()
            if model.inputs.startswith("features/")
        }
        for backbone, model in read.items():
            if backbone not in self.backbones:
                raise ValueError(
                    f"models.{model}.inputs: there is no backbone {backbone}; backbones has "
                    f"{', '.join(self.backbones) or 'none'}"
                )
        unread = [backbone for backbone in self.backbones if backbone not in read]
        if unread:
            raise ValueError(
                f"backbones.{unread[0]}: no model reads it; set a model's inputs to "
                f"features/{unread[0]}, or remove it"
            )
        return self

    @model_validator(mode="after")
    def _ensembles_are_of_models(self) -> Self:
        names = {name.lower(): name for name in self.models}
        for name, ensemble in self.ensembles.items():
            if name.lower() in names:
                raise ValueError(
                    f"ensembles.{name}: the model {names[name.lower()]} has this name; rename one "
                    "of them"
                )
            for model in ensemble.models:
                if model not in self.models:
                    raise ValueError(
                        f"ensembles.{name}.models: there is no model {model}; models has "
                        f"{', '.join(self.models)}"
                    )
        return self

    @model_validator(mode="after")
    def _exports_are_of_models(self) -> Self:
        for name in self.exports:
            if name not in self.models:
                raise ValueError(
                    f"exports.{name}: there is no model {name}; models has {', '.join(self.models)}"
                )
        if self.exports and getattr(self.sets["study"].split, "val_size", None) == 0:
            raise ValueError(
                "exports: an exported model is compared with Keras on validation images, but "
                "sets.study.split.val_size is 0; raise it, or set exports: {}"
            )
        return self

    @model_validator(mode="after")
    def _no_input_is_enlarged(self) -> Self:
        for section in ("backbones", "models"):
            for name, entry in getattr(self, section).items():
                pixels = getattr(entry, "input_pixels", 0)
                way_out = ", or set inputs: raw" if section == "models" else ""
                if pixels > self.resize.pixels and getattr(entry, "inputs", None) != "raw":
                    raise ValueError(
                        f"{section}.{name}.input_pixels is {pixels}, but images are stored at "
                        f"resize.pixels = {self.resize.pixels}; lower input_pixels, or raise "
                        f"resize.pixels{way_out}"
                    )
        return self

    @model_validator(mode="after")
    def _something_is_tested_on(self) -> Self:
        if has_test_images(self.sets["study"].split) or len(self.sets) > 1:
            return self
        raise ValueError(
            "sets.study.split.test_size is 0, and `sets` has no other set, so that there are no "
            "test images; raise sets.study.split.test_size, or add a set to test on"
        )

    @model_validator(mode="after")
    def _monitored_images_may_be_scored(self) -> Self:
        for name, model in self.models.items():
            if model.monitor == "test" and not has_test_images(self.sets["study"].split):
                raise ValueError(
                    f"models.{name}.monitor: test scores the study's test images, but "
                    "sets.study.split.test_size is 0; raise it, or set monitor: none"
                )
            if model.monitor == "test" and self.evaluate.partition == "val":
                raise ValueError(
                    f"models.{name}.monitor: test scores the study's test images, and with "
                    "evaluate.partition: val no test image is scored; set monitor: none, or "
                    "evaluate.partition: test"
                )
        return self

    @model_validator(mode="after")
    def _validation_images_exist(self) -> Self:
        has_none = getattr(self.sets["study"].split, "val_size", None) == 0
        calibrate = self.calibrate
        if has_none and (calibrate.method, calibrate.partition) == ("temperature", "val"):
            raise ValueError(
                "calibrate.partition: val fits the temperature on validation images, but "
                "sets.study.split.val_size is 0; raise it, or set calibrate.method: none"
            )
        if has_none and calibrate.decision == "prior_adjusted":
            raise ValueError(
                "calibrate.decision: prior_adjusted chooses its exponent on validation images, but "
                "sets.study.split.val_size is 0; raise it, or set calibrate.decision: plain"
            )
        if has_none and self.evaluate.partition == "val":
            raise ValueError(
                "evaluate.partition: val scores the study's validation images, but "
                "sets.study.split.val_size is 0; raise it, or set evaluate.partition: test"
            )
        for name, ensemble in self.ensembles.items():
            if has_none and ensemble.weights == "validation":
                raise ValueError(
                    f"ensembles.{name}.weights: validation fits the weights to validation images, "
                    "but sets.study.split.val_size is 0; raise it, or set weights: equal"
                )
        for name, model in self.models.items():
            if has_none and model.patience is not None:
                raise ValueError(
                    f"models.{name}.patience waits for a better score on validation images, but "
                    "sets.study.split.val_size is 0; raise it, or set patience: null"
                )
        return self

    @model_validator(mode="after")
    def _calibration_has_images(self) -> Self:
        has_none = getattr(self.sets["study"].split, "cal_size", None) == 0
        calibrate = self.calibrate
        if has_none and (calibrate.method, calibrate.partition) == ("temperature", "cal"):
            raise ValueError(
                "calibrate.method: temperature needs calibration images, but "
                "sets.study.split.cal_size is 0; raise it, or set calibrate.partition: val, or "
                "calibrate.method: none"
            )
        return self
