"""What a model is: an entry of `models`."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lesions.params.architectures import list_architectures, read_signature
from lesions.params.kinds import Count, Section, Share

SMALLEST_INPUT = 32  # px: below it keras.applications builds neither VGG16 nor ResNet50


class Backbone(Section):
    """The pretrained, frozen part of a model."""

    weights: Annotated[str, Field(pattern=r"^(imagenet|random|.+\.h5)$")]
    pooling: Literal["flatten", "average", "max"]


class Head(Section):
    """The trained part: widths of its layers.

    `filters` and `batch_norm_momentum` are only there where it convolves; of the former one for
    each set of convolutions, which halves.
    """

    filters: list[Count] | None = None
    dense_units: list[Count]
    dropout: Share
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] | None = None


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

    def of_frozen_part(self) -> dict:
        """Give what the architecture's `frozen` takes by name."""
        keys = {"input_size", "preprocessing", "backbone"}
        return self.model_dump(include=keys, exclude_none=True)

    def of_head(self) -> dict:
        """Give what the architecture's `trainable` takes by name."""
        return self.head.model_dump(exclude_none=True)

    @field_validator("architecture")
    @classmethod
    def _has_a_file(cls, name: str) -> str:
        known = list_architectures()
        if name not in known:
            raise ValueError(
                f"must have a file src/lesions/networks/{name}.py; there are {', '.join(known)}"
            )
        return name

    @model_validator(mode="after")
    def _suits_its_architecture(self) -> Self:
        name = self.architecture
        needs = "have no backbone; set backbone: null"
        if self.backbone is None:
            needs = "have a backbone; set backbone: {weights: imagenet, pooling: average}"
        try:
            read_signature(name, "frozen").bind(None, **self.of_frozen_part())
        except TypeError as error:
            raise ValueError(f"a model of architecture {name} must {needs}: {error}") from error
        trainable, head = read_signature(name, "trainable"), self.of_head()
        try:
            trainable.bind(None, **head)
        except TypeError as error:
            raise ValueError(
                f"the head of architecture {name} must have "
                f"{', '.join(list(trainable.parameters)[1:])}; it has {', '.join(head)}: {error}"
            ) from error
        return self

    @model_validator(mode="after")
    def _convolutions_have_room(self) -> Self:
        n_sets = len(self.head.filters or [])
        if self.input_size < 2**n_sets:
            raise ValueError(
                f"input_size must be at least {2**n_sets} px for {n_sets} head.filters, for each "
                f"set of convolutions halves the image; it is {self.input_size}"
            )
        return self

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
