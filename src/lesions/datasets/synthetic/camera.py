"""A photograph of a lesion: view, light, hairs and other artefacts, sensor."""

import cv2
import numpy as np

from lesions.datasets.synthetic.shapes import SIDE, smooth_step

HEIGHT, WIDTH = 450, 600  # px


def take_photograph(lesion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take one photograph of a lesion.

    Parameters
    ----------
    lesion : array of float32, shape (SIDE, SIDE, 3)
        Reflectance, from `lesions.datasets.synthetic.pigments.draw_lesion`.
    rng : numpy.random.Generator
        Determines view, light and artefacts.

    Returns
    -------
    array of uint8, shape (HEIGHT, WIDTH, 3)
        RGB.
    """
    image = _project(lesion, rng)
    light, balance = _light(rng), rng.normal(1, (0.035, 0.02, 0.045))
    exposure = rng.uniform(0.88, 1.12)
    image = cv2.multiply(image, cv2.merge([light * float(exposure * gain) for gain in balance]))
    if rng.random() < 0.45:
        image = _add_hairs(image, rng)
    if rng.random() < 0.12:
        image = _add_bubbles(image, rng)
    if rng.random() < 0.08:
        image = _add_ruler(image, rng)
    if rng.random() < 0.3:
        image = _add_glints(image, rng)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    grain = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    image = cv2.add(image, cv2.merge([rng.uniform(0.006, 0.02) * grain] * 3))
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def _project(lesion, rng):
    """Return the section of the lesion's canvas that the camera sees."""
    scale = SIDE / 3 * 2 / HEIGHT * rng.uniform(0.78, 1.2)  # canvas pixels per photograph pixel
    angle, flip = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rotation[:, 0] *= flip
    centre = SIDE / 2 + rng.normal(0, SIDE * 0.03, 2)
    shift = centre - rotation @ [WIDTH / 2, HEIGHT / 2]
    return cv2.warpAffine(
        lesion,
        np.column_stack([rotation, shift]),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _light(rng):
    """Return the brightness `(HEIGHT, WIDTH)`: a gradient, dark corners, the skin's relief."""
    x, y = np.meshgrid(np.linspace(-1, 1, 75), np.linspace(-0.75, 0.75, 56))
    slope = 1 + x * rng.normal(0, 0.05) + y * rng.normal(0, 0.05)
    radius = np.hypot(x - rng.normal(0, 0.05), y - rng.normal(0, 0.05))
    if rng.random() < 0.12:  # the dermatoscope's tube is visible
        edge = rng.uniform(0.95, 1.1)
        dark = 0.95 * smooth_step(radius, edge, edge + 0.06)
    else:
        dark = rng.uniform(0, 0.5) * smooth_step(radius, 0.5, 1.45)
    light = cv2.resize((slope * (1 - dark)).astype(np.float32), (WIDTH, HEIGHT))
    relief = rng.standard_normal((HEIGHT // 2, WIDTH // 2), dtype=np.float32)
    relief = cv2.resize(cv2.GaussianBlur(relief, (0, 0), 0.8), (WIDTH, HEIGHT))
    return light * (1 + rng.uniform(0.01, 0.035) * relief)


def _blend(image, layer, colour):
    """Blend `colour` into the image, with the uint8 `layer` as opacity."""
    opacity = layer.astype(np.float32) / 255
    image = cv2.multiply(image, cv2.merge([1 - opacity] * 3))
    return cv2.add(image, cv2.merge([opacity * float(channel) for channel in colour]))


def _add_hairs(image, rng):
    """Add curved hairs of one colour and roughly one direction."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    heading = rng.uniform(0, np.pi)
    thickness = rng.uniform(0.8, 1.8)
    t = np.linspace(0, 1, 16)[:, None]
    for _ in range(int(rng.gamma(1.1, 6)) + 1):
        angle, length = heading + rng.normal(0, 0.45), rng.uniform(90, 420)
        start = rng.uniform((0, 0), (WIDTH, HEIGHT))
        along = np.array([np.cos(angle), np.sin(angle)]) * length
        bend = np.array([-along[1], along[0]]) * rng.normal(0, 0.2)
        curve = start + (t - 0.5) * along + (4 * t * (1 - t)) * bend
        opacity = int(rng.integers(130, 240))
        px = max(1, round(thickness * rng.uniform(0.7, 1.5)))
        cv2.polylines(layer, [(curve * 16).astype(np.int32)], False, opacity, px, cv2.LINE_AA, 4)
    colour = np.array([0.13, 0.09, 0.08]) + rng.beta(1, 4) * np.array([0.5, 0.38, 0.25])
    return _blend(image, layer, colour)


def _add_bubbles(image, rng):
    """Add air bubbles in the contact gel: a bright rim and a small reflection."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(rng.integers(1, 12)):
        centre = rng.integers((0, 0), (WIDTH, HEIGHT))
        radius = int(rng.uniform(4, 26))
        cv2.circle(layer, centre, radius, int(rng.integers(60, 150)), 2, cv2.LINE_AA)
        cv2.circle(layer, centre - radius // 3, max(1, radius // 6), 220, -1, cv2.LINE_AA)
    return _blend(image, cv2.GaussianBlur(layer, (0, 0), 1.1), (1, 1, 1))


def _add_ruler(image, rng):
    """Add the millimetre scale of the contact plate along an edge."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    base = int(HEIGHT * rng.choice([0.04, 0.96]))
    inwards = 1 if base < HEIGHT / 2 else -1
    step = rng.uniform(22, 40)
    for number, x in enumerate(np.arange(step / 2, WIDTH, step).astype(int)):
        length = 22 if number % 5 == 0 else 12
        cv2.line(layer, (x, base), (x, base + inwards * length), 220, 2, cv2.LINE_AA)
    return _blend(image, layer, (0.08, 0.08, 0.1))


def _add_glints(image, rng):
    """Add specular reflections where the plate does not touch."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    middle, spread = rng.uniform((0.2, 0.2), (0.8, 0.8)), rng.uniform(0.03, 0.2)
    for position in rng.normal(middle, spread, (rng.integers(4, 26), 2)):
        centre = (position * (WIDTH, HEIGHT)).astype(int)
        axes = rng.uniform(1, 5, 2).astype(int) + 1
        cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, 230, -1, cv2.LINE_AA)
    return _blend(image, cv2.GaussianBlur(layer, (0, 0), 1.0), (1, 1, 1))
