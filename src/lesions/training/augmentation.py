"""Augmentation: random changes of training rows that leave the diagnosis as it is.

Images are changed by OpenCV while they are read, beside the network's work: on two cores Keras'
layers for rotation, zoom, colour and erasing take several times as long, and they interpolate once
each, which blurs small images. Images are mixed with each other by Keras' layers, since targets are
mixed with them. `benchmarks/finetune.py` measures both.
"""

import math

import cv2
import numpy as np

from lesions.networks.backend import keras, tf
from lesions.training.seeds import list_seed_states, reset_seed_states

POLICIES = ("none", "dihedral", "dermatoscopy", "mixup", "cutmix")
SEEN = (0.72, 1.05)  # side of what is seen, as a share of the image's
SHIFT = 0.07  # of the centre, as a share of the image's side
BRIGHTNESS = 25  # grey levels
CONTRAST = SATURATION = 0.2
CHANNEL_GAIN = 0.06
ILLUMINATION = 0.15  # from the centre to an edge
ERASED = (0.15, 0.35)  # sides of the erased rectangle, as shares of the image's
GREY = 127
BLANKED = 0.3  # probability of a row of metadata


def change_images(images: np.ndarray, policy: str, rng: np.random.Generator) -> np.ndarray:
    """Return changed images.

    Parameters
    ----------
    images
        RGB, 0–255, `(n, pixels, pixels, 3)`; with `none`, any rows.
    policy
        `none`; `dihedral`: one of the eight symmetries of the square; `dermatoscopy`, `mixup` and
        `cutmix`: any rotation with reflection, zoom, shift, colour, uneven illumination, and in
        half of the images an erased rectangle.
    rng
        Draws a new change for each image.

    Returns
    -------
    ndarray
        float32, of the same shape.
    """
    if policy == "none":
        return images.astype(np.float32, copy=False)
    change = _turn if policy == "dihedral" else _change_view_and_light
    return np.stack([change(image.astype(np.float32), rng) for image in images])


def make_mixing(policy: str) -> list[keras.Layer]:
    """Return the layers that mix images and targets of a batch: none, or one.

    Parameters
    ----------
    policy
        `mixup`: weighted means of two images (Zhang et al., ICLR 2018); `cutmix`: a rectangle of
        one in the other (Yun et al., ICCV 2019); else none.
    """
    layers = {"mixup": keras.layers.MixUp, "cutmix": keras.layers.CutMix}
    settings = {"mixup": {"alpha": 0.4}, "cutmix": {"factor": 1.0}}
    return [layers[policy](**settings[policy], dtype="float32")] if policy in layers else []


def mix_images(layers: list[keras.Layer], images, targets):
    """Return images and targets `(n, n_classes)` as `layers` of `make_mixing` mix them."""
    for layer in layers:
        mixed = layer({"images": images, "labels": targets}, training=True)
        images, targets = mixed["images"], mixed["labels"]
    return images, targets


def blank_rows(metadata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return metadata `(n, n_values)` of which each row is 0, as if missing, at random.

    So the network learns to predict without metadata as well.
    """
    kept = rng.random(len(metadata)) >= BLANKED
    return metadata * kept[:, None].astype(np.float32)


def show_policies(images: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    """Return what each of `POLICIES` makes of uint8 images `(n, pixels, pixels, 3)`."""
    shown = {}
    for policy in POLICIES:
        changed = change_images(images, policy, np.random.default_rng(seed))
        mixing = make_mixing(policy)
        reset_seed_states(list_seed_states(mixing), seed, 0)
        changed, _ = mix_images(mixing, tf.constant(changed), tf.eye(len(images)))
        shown[policy] = np.asarray(changed).round().astype(np.uint8)
    return shown


def _turn(image, rng):
    turned = np.rot90(image, rng.integers(4))
    return turned[:, ::-1] if rng.integers(2) else turned


def _change_view_and_light(image, rng):
    changed = _change_light(_change_view(image, rng), rng)
    if rng.random() < 0.5:
        _erase(changed, rng)
    return changed


def _change_view(image, rng):
    """Rotate, mirror, zoom and shift by one interpolation; outside, the image is reflected."""
    pixels = len(image)
    angle, mirror = rng.uniform(0, 2 * math.pi), rng.choice([-1, 1])
    zoom, centre = rng.uniform(*SEEN), (pixels - 1) / 2
    cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
    # From a pixel of the changed image to its place in the image.
    matrix = np.array([[mirror * cosine, -sine, 0], [mirror * sine, cosine, 0]])
    shift = rng.uniform(-SHIFT, SHIFT, 2) * pixels
    matrix[:, 2] = centre + shift - matrix[:, :2] @ (centre, centre)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        image, matrix, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


def _change_light(image, rng):
    """Change brightness, contrast, saturation, the gain of each channel, and the illumination."""
    contrast, saturation = 1 + rng.uniform(-1, 1, 2) * (CONTRAST, SATURATION)
    gain = 1 + rng.uniform(-CHANNEL_GAIN, CHANNEL_GAIN, 3)
    mean = np.asarray(cv2.mean(image)[:3])
    # Saturation and contrast act around the image's mean colour, which gain and brightness move.
    matrix = contrast * (saturation * np.eye(3) + (1 - saturation) / 3)
    offset = mean * gain - matrix @ mean + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    changed = cv2.transform(image, np.column_stack([matrix, offset]).astype(np.float32))
    axis = np.linspace(-1, 1, len(image), dtype=np.float32)
    slopes = rng.uniform(-ILLUMINATION, ILLUMINATION, 2).astype(np.float32)
    changed *= (1 + slopes[0] * axis[:, None] + slopes[1] * axis)[..., None]
    return np.clip(changed, 0, 255, out=changed)


def _erase(image, rng) -> None:
    """Grey a rectangle of an image in place (DeVries and Taylor, arXiv 1708.04552)."""
    pixels = len(image)
    height, width = np.round(rng.uniform(*ERASED, 2) * pixels).astype(int)
    top, left = rng.integers(0, (pixels - height + 1, pixels - width + 1))
    image[top : top + height, left : left + width] = GREY
