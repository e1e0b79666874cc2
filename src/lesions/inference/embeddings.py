"""Embeddings of photographs: what a network trained on ImageNet sees in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesions.imaging.photographs import Photographs
from lesions.inference.predict import mean_over_views
from lesions.networks.efficientnet_lite import build_backbone

PIXELS = 112  # height and width of the central square that the network sees


def embed_photographs(files: Sequence[Path]) -> np.ndarray:
    """Return the embedding of every photograph, float16 `(n_images, 1280)`.

    It is the mean over four views (as it is, mirrored, and both turned by half a circle) of the
    pooled features of EfficientNet-Lite0 with ImageNet weights. The last digits depend on the CPU;
    most of them are lost in float16.
    """
    backbone = build_backbone(
        PIXELS,
        version=0,
        weights="imagenet",
        weights_sha256=None,
        input_pixels=PIXELS,
        preprocessing="imagenet",
        pooling="average",
    )
    photographs = Photographs(
        files, pixels=PIXELS, interpolation="area", crop="square", decode="reduced"
    )
    return mean_over_views(backbone, photographs, tta="flips").astype(np.float16)
