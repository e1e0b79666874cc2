"""Models: the section `models`.

A model's class is chosen by its `architecture`. A new architecture is a class here, a member of the
union `Model`, and a file `src/lesions/networks/<architecture>.py`; see CONTRIBUTING.md.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lesions.config.backbones import ApplicationSettings, EfficientNetLiteSettings
from lesions.config.types import Count, Metadata, Pixels, Section, Seed, Share

Images = Literal["images.npy", "raw"]  # stored by stage `resize`, or the photographs themselves
Rate = Annotated[float, Field(gt=0, le=10)]
LOSS_OF = {"focal_gamma": "focal", "class_balanced_beta": "class_balanced"}  # setting to loss
LOSS_OF |= {"logit_adjustment": "logit_adjusted"}
LOSS_SETTINGS = ("loss", *LOSS_OF, "class_weights", "label_smoothing")
OPTIMIZER_SETTINGS = ("learning_rate", "backbone_learning_rate", "schedule", "warmup_epochs")
OPTIMIZER_SETTINGS += ("weight_decay", "clip_norm", "ema_momentum")


class Training(Section):
    """Settings of stage `train` that all models share; the defaults are the paper's."""

    architecture: str
    inputs: str
    rows: Literal["resampled", "train"]
    metadata: Metadata = Field(default=[])
    augment: Literal["none", "dihedral", "dermatoscopy", "mixup", "cutmix"] = "none"
    loss: Literal["cross_entropy", "focal", "class_balanced", "logit_adjusted"] = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    class_balanced_beta: Annotated[float, Field(gt=0, lt=1)] = 0.999
    logit_adjustment: Annotated[float, Field(ge=0, le=10)] = 1.0
    class_weights: Literal["none", "sqrt", "balanced"] = "none"
    label_smoothing: Share = 0.0
    learning_rate: Rate
    backbone_learning_rate: Rate | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: Annotated[int, Field(ge=0, lt=2**31)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    ema_momentum: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    seed: Seed | None = None
    batch_size: Count
    epochs: Count
    keep_epoch: Literal["val_loss", "val_accuracy", "last"]
    patience: Count | None = None
    monitor: Literal["none", "test"] = "none"

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if self.augment != "none" and self.inputs.startswith("features/"):
            raise ValueError(
                f"augment: {self.augment} changes pixels, but inputs are {self.inputs}; set "
                "augment: none, or inputs: images.npy or raw with an architecture that takes them"
            )
        if self.metadata and self.inputs.startswith("features/"):
            raise ValueError(
                f"metadata is read beside images, but inputs are {self.inputs}; set metadata: [], "
                "or inputs: images.npy or raw with an architecture that takes them"
            )
        if self.metadata and self.augment in ("mixup", "cutmix"):
            raise ValueError(
                f"augment: {self.augment} mixes images, and would leave their metadata unmixed; "
                "set augment: dermatoscopy, or metadata: []"
            )
        if self.loss == "class_balanced" and self.class_weights != "none":
            raise ValueError(
                "loss: class_balanced weighs the classes itself; set class_weights: none"
            )
        for name, loss in LOSS_OF.items():
            default = Training.model_fields[name].default
            if self.loss != loss and getattr(self, name) != default:
                raise ValueError(
                    f"{name} belongs to loss: {loss}, but loss is {self.loss}; remove it, or set "
                    f"loss: {loss}"
                )
        if self.backbone_learning_rate is not None and getattr(self, "trainable", "head") == "head":
            raise ValueError(
                "backbone_learning_rate is set, but no pretrained part is trained; set it to null, "
                "or set trainable: all, which needs an architecture with a pretrained part"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs}) must be fewer than epochs ({self.epochs})"
            )
        if self.patience is not None and self.keep_epoch == "last":
            raise ValueError(
                "patience waits for a better epoch, but keep_epoch: last compares no epochs; set "
                "keep_epoch: val_loss or val_accuracy, or patience: null"
            )
        if self.monitor == "test" and self.keep_epoch != "last":
            raise ValueError(
                "monitor: test shows scores of test images, by which nothing may be chosen, but "
                f"keep_epoch: {self.keep_epoch} chooses an epoch; set keep_epoch: last, or "
                "monitor: none"
            )
        return self

    def network_settings(self) -> dict:
        """Return the keyword arguments of the architecture's `build`."""
        return self.model_dump(exclude=set(Training.model_fields))

    def resize_settings(self, resize: Mapping) -> dict:
        """Return the section `resize` with the `pixels` of the images that the model reads."""
        return dict(resize) | ({"pixels": self.input_pixels} if self.inputs == "raw" else {})

    def training_settings(self) -> dict:
        """Return the keyword arguments of `lesions.training.loop.train`."""
        alone = ("augment", "precision", "batch_size", "epochs", "keep_epoch", "patience")
        settings = {name: getattr(self, name) for name in alone}
        return settings | {
            "loss": self.model_dump(include=set(LOSS_SETTINGS)),
            "optimizer": self.model_dump(include=set(OPTIMIZER_SETTINGS)),
        }


class Cnn(Training):
    """The paper's small network, trained from pixels."""

    architecture: Literal["cnn"]
    inputs: Images
    input_pixels: Pixels
    filters: Annotated[list[Count], Field(min_length=1)]
    dense_units: list[Count]
    dropout: Share
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _pooling_has_room(self) -> Self:
        needed = 2 ** len(self.filters)
        if self.input_pixels < needed:
            raise ValueError(
                f"input_pixels must be at least {needed}: each of the {len(self.filters)} entries "
                f"of filters halves the image; it is {self.input_pixels}"
            )
        return self


class Dense(Training):
    """Dense layers on the features of a backbone."""

    architecture: Literal["dense"]
    inputs: Annotated[str, Field(pattern=r"^features/[A-Za-z0-9_]+$")]
    standardize_features: bool
    dense_units: list[Count]
    dropout: Share


class FineTuned(Training):
    """A pretrained network that is trained on the photographs, as a whole or from some layer on."""

    inputs: Images
    trainable: Annotated[str, Field(pattern=r"^(head|all|last_[1-9][0-9]{0,3})$")]
    dense_units: list[Count]
    dropout: Share


class Application(FineTuned, ApplicationSettings):
    """A network of `keras.applications`, fine-tuned."""

    architecture: Literal["applications"]


class EfficientNetLite(FineTuned, EfficientNetLiteSettings):
    """An EfficientNet-Lite, fine-tuned."""

    architecture: Literal["efficientnet_lite"]


class Residual(Training):
    """A small residual network, trained from pixels."""

    architecture: Literal["residual"]
    inputs: Images
    input_pixels: Pixels
    filters: Annotated[list[Count], Field(min_length=1)]
    blocks: Annotated[int, Field(ge=1, le=100)]
    dropout: Share

    @model_validator(mode="after")
    def _every_stage_has_room(self) -> Self:
        needed = 2 ** (len(self.filters) - 1)
        if self.input_pixels < needed:
            raise ValueError(
                f"input_pixels must be at least {needed}: each of the {len(self.filters)} entries "
                f"of filters but the first halves the image; it is {self.input_pixels}"
            )
        return self


Model = Annotated[
    Application | Cnn | Dense | EfficientNetLite | Residual, Field(discriminator="architecture")
]
