"""Class maps of an exported model, without Keras.

Where a network's last dense layer reads an average over the feature map, the logit of a class is
the mean of its class map over all positions, plus a bias (Zhou, Khosla, Lapedriza, Oliva, Torralba,
"Learning deep features for discriminative localization", CVPR 2016): the map says exactly what each
part of the photograph contributes. Of other networks it is Grad-CAM (Selvaraju et al., "Grad-CAM",
ICCV 2017), which is the same to first order; see `lesions.export.gradients`.
"""

import cv2
import numpy as np

from lesions.inference.exported import ExportedModel
from lesions.inference.views import VIEWS, views

COLOURS = cv2.COLORMAP_INFERNO  # equal steps look equal, also in grey
OPACITY = 0.5


def class_maps(model: ExportedModel, images: np.ndarray) -> np.ndarray:
    """Return the class maps of images, the mean over the model's views, each turned back.

    Parameters
    ----------
    images
        uint8 RGB `(n_images, pixels, pixels, 3)`.

    Returns
    -------
    ndarray
        float64 `(n_images, height, width, n_classes)`, as coarse as the feature map.

    Raises
    ------
    ValueError
        If the model has no class maps.
    """
    if "class_map" not in model.outputs:
        raise ValueError(
            f"The model {model.facts['name']} has no class maps: they need a feature map, pooling "
            "or flattening, and then dense layers with ReLU; if it has these, export it again"
        )
    tta = model.facts["tta"]
    turned = []
    for (turns, mirrored), view in zip(VIEWS[tta], views(images, tta=tta), strict=True):
        (maps,) = model.run(view, outputs=("class_map",))
        back = np.rot90(maps, -turns, axes=(1, 2))
        turned.append(back[:, :, ::-1] if mirrored else back)
    return np.mean(turned, axis=0, dtype=np.float64)


def evidence(maps: np.ndarray, classes: np.ndarray, *, pixels: int) -> np.ndarray:
    """Return how much each pixel speaks for a class rather than for the mean of all classes.

    Parameters
    ----------
    maps
        As from `class_maps`.
    classes
        Position of the class of each image, `(n_images,)`.
    pixels
        Height and width of the result.

    Returns
    -------
    ndarray
        float32 `(n_images, pixels, pixels)`, at least 0: softmax does not change if something is
        added to all logits, so that the mean over the classes says nothing; what speaks against the
        class is 0.
    """
    return enlarge(np.maximum(relative_maps(maps, classes), 0), pixels=pixels)


def relative_maps(maps: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return what speaks for a class and, below 0, against it, `(n_images, height, width)`.

    Parameters as of `evidence`.
    """
    relative = maps - maps.mean(axis=3, keepdims=True)
    return relative[np.arange(len(maps)), :, :, classes]


def enlarge(maps: np.ndarray, *, pixels: int) -> np.ndarray:
    """Return maps as float32 `(n_images, pixels, pixels)`, interpolated."""
    size = (pixels, pixels)
    coarse = maps.astype(np.float32)
    return np.stack([cv2.resize(m, size, interpolation=cv2.INTER_LINEAR) for m in coarse])


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a photograph with evidence over it, uint8 RGB of the photograph's size.

    Parameters
    ----------
    image
        uint8 RGB `(height, width, 3)`.
    heat
        float `(height, width)`, at least 0; its largest value has the brightest colour.
    """
    return cv2.addWeighted(image, 1 - OPACITY, colour(heat), OPACITY, 0)


def colour(heat: np.ndarray) -> np.ndarray:
    """Return evidence as colours, uint8 RGB `(height, width, 3)`; see `overlay`."""
    scaled = np.uint8(255 * heat / max(float(heat.max()), 1e-12))
    return np.ascontiguousarray(cv2.applyColorMap(scaled, COLOURS)[:, :, ::-1])
