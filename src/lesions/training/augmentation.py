"""Augmentation: random changes of training images that leave the diagnosis as it is.

A policy is a list of Keras layers that run on stored pixels, before the network reduces them.
Whatever they draw comes from seed generators, which the training loop resets for each epoch.
Keras' own layers for rotation, zoom and translation interpolate once each, which blurs small
images; `RandomAffine` interpolates once for all.
"""

import math

from lesions.networks.backend import keras, tf

# As Keras' layers name them: shares of the image or of the value, up or down.
ZOOM = (0.72, 1.05)  # side of what is seen, as a share of the image's
TRANSLATION = 0.07
BRIGHTNESS = 0.1
CONTRAST = SATURATION = 0.2
CHANNEL_GAIN = 0.06
ILLUMINATION = 0.15
ERASED = (0.02, 0.12)  # area


class RandomAffine(keras.layers.Layer):
    """Rotate by any angle, mirror, zoom and translate, by one bilinear interpolation.

    What lies outside an image is filled by reflection.

    Parameters
    ----------
    zoom
        Least and greatest side of what is seen, as a share of the image's side.
    translation
        Greatest, as a share of the image's side.
    """

    def __init__(self, *, zoom: tuple[float, float], translation: float, **settings) -> None:
        super().__init__(dtype="float32", **settings)
        self.zoom, self.translation = zoom, translation
        self.generator = keras.random.SeedGenerator(0)

    def call(self, images):
        """Return changed images; `images` is `(n, pixels, pixels, 3)`, 0–255."""
        n, pixels = tf.shape(images)[0], images.shape[1]
        angle = self._draw(n, 0, 2 * math.pi)
        zoom = self._draw(n, *self.zoom)
        mirror = tf.sign(self._draw(n, -1, 1))
        columns, rows = (
            self._draw(n, -self.translation, self.translation) * pixels for _ in range(2)
        )
        # The place (a0 x + a1 y + a2, b0 x + b1 y + b2) of the image is seen at (x, y).
        a0, a1 = zoom * mirror * tf.cos(angle), -zoom * tf.sin(angle)
        b0, b1 = zoom * mirror * tf.sin(angle), zoom * tf.cos(angle)
        centre, zeros = (pixels - 1) / 2, tf.zeros(n)
        a2 = centre + columns - (a0 + a1) * centre
        b2 = centre + rows - (b0 + b1) * centre
        transforms = tf.stack([a0, a1, a2, b0, b1, b2, zeros, zeros], axis=1)
        return keras.ops.image.affine_transform(images, transforms, fill_mode="reflect")

    def _draw(self, n, low: float, high: float):
        return keras.random.uniform((n,), low, high, seed=self.generator)


class RandomTranspose(keras.layers.Layer):
    """Exchange rows and columns of half of the images; after flips: all eight symmetries."""

    def __init__(self, **settings) -> None:
        super().__init__(dtype="float32", **settings)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, images):
        """Return changed images; `images` is `(n, pixels, pixels, 3)`."""
        chosen = keras.random.uniform((tf.shape(images)[0], 1, 1, 1), seed=self.generator) < 0.5
        return tf.where(chosen, tf.transpose(images, (0, 2, 1, 3)), images)


class RandomLight(keras.layers.Layer):
    """Change brightness, contrast, saturation, the gain of each channel, and the illumination.

    The illumination becomes uneven: brighter towards one side, darker towards the other.
    """

    def __init__(self, **settings) -> None:
        super().__init__(dtype="float32", **settings)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, images):
        """Return changed images; `images` is `(n, pixels, pixels, 3)`, 0–255."""
        n, pixels = tf.shape(images)[0], images.shape[1]
        contrast = 1 + self._draw((n, 1, 1, 1), CONTRAST)
        saturation = 1 + self._draw((n, 1, 1, 1), SATURATION)
        gain = 1 + self._draw((n, 1, 1, 3), CHANNEL_GAIN)
        brightness = 255 * self._draw((n, 1, 1, 1), BRIGHTNESS)
        mean = tf.reduce_mean(images, (1, 2), keepdims=True)
        axis = tf.linspace(-1.0, 1.0, pixels)
        gradient = self._draw((n, 1, 1, 1), ILLUMINATION) * axis[:, None, None]
        gradient += self._draw((n, 1, 1, 1), ILLUMINATION) * axis[:, None]
        grey = tf.reduce_mean(images, axis=-1, keepdims=True)
        coloured = grey + (images - grey) * saturation
        changed = (coloured - mean) * contrast + mean * gain + brightness
        return tf.clip_by_value(changed * (1 + gradient), 0.0, 255.0)

    def _draw(self, shape, limit: float):
        return keras.random.uniform(shape, -limit, limit, seed=self.generator)


def make_augmentation(policy: str) -> list[keras.Layer]:
    """Return the layers of a policy.

    Parameters
    ----------
    policy
        `none`; `dihedral`: the eight symmetries of the square, at random; `dermatoscopy`: any
        rotation with reflection, zoom, translation, colour, illumination, and an erased rectangle
        in half of the images; `mixup` (Zhang et al., ICLR 2018) and `cutmix` (Yun et al., ICCV
        2019): the same, and then pairs of images and their targets are mixed.
    """
    layers = keras.layers
    if policy == "none":
        return []
    if policy == "dihedral":
        # One layer for both would draw once: Keras flips both ways or neither.
        flips = [layers.RandomFlip(mode, dtype="float32") for mode in ("horizontal", "vertical")]
        return [*flips, RandomTranspose()]
    erase = {"scale": ERASED, "fill_value": 127, "value_range": (0, 255)}
    mixing = {
        "dermatoscopy": [],
        "mixup": [layers.MixUp(alpha=0.4, dtype="float32")],
        "cutmix": [layers.CutMix(dtype="float32")],
    }[policy]
    return [
        RandomAffine(zoom=ZOOM, translation=TRANSLATION),
        RandomLight(),
        layers.RandomErasing(factor=(0.5, 0.5), dtype="float32", **erase),
        *mixing,
    ]


def augment(policy_layers: list[keras.Layer], images, targets):
    """Return changed images, and targets `(n, n_classes)` to match."""
    for layer in policy_layers:
        if isinstance(layer, keras.layers.MixUp | keras.layers.CutMix):
            mixed = layer({"images": images, "labels": targets}, training=True)
            images, targets = mixed["images"], mixed["labels"]
        elif isinstance(layer, keras.layers.RandomFlip | keras.layers.RandomErasing):
            images = layer(images, training=True)
        else:
            images = layer(images)
    return images, targets
