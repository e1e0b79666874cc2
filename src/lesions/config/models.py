"""Models: the section `models`.

A model's class is chosen by its `architecture`. A new architecture is a class here, a member of the
union `Model`, and a file `src/lesions/networks/<architecture>.py`; see CONTRIBUTING.md.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lesions.config.backbones import ApplicationSettings, EfficientNetLiteSettings
from lesions.config.types import Count, Pixels, Section, Share


class Training(Section):
    """Settings of stage `train` that all models share."""

    architecture: str
    inputs: str
    rows: Literal["resampled", "train"]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    batch_size: Count
    epochs: Count
    keep_epoch: Literal["val_loss", "val_accuracy", "last"]

    def network_settings(self) -> dict:
        """Return the keyword arguments of the architecture's `build`."""
        return self.model_dump(exclude=set(Training.model_fields))

    def training_settings(self) -> dict:
        """Return the keyword arguments of `lesions.training.loop.train`."""
        return self.model_dump(include={"learning_rate", "batch_size", "epochs", "keep_epoch"})


class Cnn(Training):
    """The paper's small network, trained from pixels."""

    architecture: Literal["cnn"]
    inputs: Literal["images.npy"]
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

    inputs: Literal["images.npy"]
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
    inputs: Literal["images.npy"]
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
