"""Photographs whose lesion, or all but the lesion, is painted out.

Colours of the mean of a ring leave the lesion's outline to be seen; inpainting (Telea, *J Graphics
Tools* 9, 2004) continues what is around it, and blurs.
"""

import cv2
import numpy as np

from lesions.explain.estimates import Bootstrap
from lesions.inference.exported import ExportedModel

RING = 9  # px, width of the square by which a lesion is dilated


def without_lesion(image: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return a photograph, uint8 RGB, with the lesion painted out in two ways."""
    wide, colour = _surround(image, mask)
    return {
        "mean of a ring": np.where(mask[..., None], colour, image).astype(np.uint8),
        "inpainted": cv2.inpaint(image, wide.astype(np.uint8), RING, cv2.INPAINT_TELEA),
    }


def only_lesion(image: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return a photograph, uint8 RGB, with all but the lesion painted out in two ways.

    For inpainting, a ring of skin stays: else the lesion itself would be continued.
    """
    wide, colour = _surround(image, mask)
    return {
        "mean of a ring": np.where(mask[..., None], image, colour).astype(np.uint8),
        "inpainted": cv2.inpaint(image, (~wide).astype(np.uint8), RING, cv2.INPAINT_TELEA),
    }


def paint(images: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Return photographs as they are and painted, each uint8 `(n_images, pixels, pixels, 3)`."""
    kinds = {"as they are": images}
    for name, function in (("without", without_lesion), ("only", only_lesion)):
        painted = [function(*pair) for pair in zip(images, masks, strict=True)]
        for how in painted[0]:
            kinds[f"{name} the lesion, {how}"] = np.stack([found[how] for found in painted])
    return kinds


def _surround(image, mask):
    """Return the mask with a ring around it, and the mean colour of the ring."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((RING, RING))).astype(bool)
    ring = wide & ~mask
    # A lesion that fills the photograph has no ring.
    return wide, image[ring if ring.any() else np.ones_like(mask)].mean(axis=0)


def measure_shortcuts(
    model: ExportedModel, images: np.ndarray, masks: np.ndarray, bootstrap: Bootstrap
) -> list[dict]:
    """Return `SCORES` on photographs with the lesion, or all else, painted out."""
    return [
        {"photographs": kind} | bootstrap.scores(model.predict(pictures).probabilities)
        for kind, pictures in paint(images, masks).items()
    ]
