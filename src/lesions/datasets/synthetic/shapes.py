"""A lesion's outline, and the noise and shapes that pigment maps are made of."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 448  # px of a lesion's canvas, which spans -1.5 … 1.5 in both directions
X, Y = np.meshgrid(*[np.linspace(-1.5, 1.5, SIDE, dtype=np.float32)] * 2)

# Outline: radius, elongation, coarse warp, fine warp, lobes, softness of the border
OUTLINES = {
    "akiec": (0.80, 1.30, 0.22, 0.06, 2, 0.35),
    "bcc": (0.75, 1.25, 0.18, 0.04, 2, 0.22),
    "bkl": (0.78, 1.30, 0.16, 0.07, 2, 0.06),
    "df": (0.62, 1.15, 0.10, 0.02, 1, 0.45),
    "mel": (0.80, 1.45, 0.24, 0.06, 3, 0.14),
    "nv": (0.66, 1.25, 0.09, 0.02, 1, 0.22),
    "vasc": (0.55, 1.20, 0.10, 0.03, 1, 0.08),
}


@dataclass(frozen=True)
class Outline:
    """A lesion's shape: `depth` is 1 at its centre, 0 at its border, negative outside."""

    depth: np.ndarray
    mask: np.ndarray


def draw_outline(dx: str, rng: np.random.Generator) -> Outline:
    """Return the outline of a lesion: overlapping ellipses, distorted by smooth noise."""
    radius, stretch, coarse, fine, lobes, soft = OUTLINES[dx]
    radius *= rng.uniform(0.65, 1.3)
    coarse, fine = coarse * rng.uniform(0.5, 1.6), fine * rng.uniform(0.4, 1.6)
    x = X + coarse * noise(rng, 5) + fine * noise(rng, 18)
    y = Y + coarse * noise(rng, 5) + fine * noise(rng, 18)
    depth = np.full_like(X, -9)
    for _ in range(rng.integers(1, lobes + 1)):
        angle, ratio = rng.uniform(0, math.pi), math.sqrt(rng.uniform(1, stretch))
        cx, cy = (0.3 * radius * rng.uniform(-1, 1) * (lobes > 1) for _ in "xy")
        u = math.cos(angle) * (x - cx) + math.sin(angle) * (y - cy)
        v = math.cos(angle) * (y - cy) - math.sin(angle) * (x - cx)
        depth = np.maximum(depth, 1 - cv2.magnitude(u / ratio, v * ratio) / radius)
    soft *= rng.uniform(0.6, 1.6)
    return Outline(depth, smooth_step(depth, -soft / 2, soft / 2))


def smooth_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, and a smooth transition between."""
    t = np.clip((values - low) * (1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Return smooth noise on the canvas: standard deviation about 0.7, `cells` bumps a side."""
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    smooth = cv2.resize(grid, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(smooth, (SIDE, SIDE))  # linear from here: a quarter of the time


def draw_cells(rng: np.random.Generator, spacing: float) -> np.ndarray:
    """Return the distance to the nearest of jittered points: 0 there, about 1 halfway between."""
    ticks = np.arange(spacing / 2, SIDE, spacing)
    points = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    points[:, 0] += spacing / 2 * (np.arange(len(points)) // len(ticks) % 2)
    points += rng.uniform(-0.33, 0.33, points.shape) * spacing
    points = points.astype(int).clip(0, SIDE - 1)
    empty = np.full((SIDE, SIDE), 255, np.uint8)
    empty[points[:, 1], points[:, 0]] = 0
    distance = cv2.distanceTransform(empty, cv2.DIST_L2, 3)
    return (distance * np.float32(1.6 / spacing)).clip(0, 1.3)


def _inside(rng, outline, n):
    """Draw `n` points inside the outline, in canvas pixels."""
    rows, columns = np.nonzero(outline.depth[::4, ::4] > 0.08)
    if not len(rows):
        return np.full((n, 2), SIDE // 2)
    chosen = rng.integers(0, len(rows), n)
    return np.stack([columns[chosen], rows[chosen]], 1) * 4 + rng.integers(0, 4, (n, 2))


def draw_dots(
    rng: np.random.Generator, outline: Outline, *, n: int, size: tuple[int, int], blur: float = 0.7
) -> np.ndarray:
    """Draw irregular dots inside the outline, 0–1; `size`: smallest and largest radius in px."""
    layer = np.zeros((SIDE, SIDE), np.uint8)
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(around), np.sin(around)], 1)
    for centre in _inside(rng, outline, n):
        radius, turn = rng.uniform(*size), rng.uniform(0, np.pi)
        bumps = 1 + rng.uniform(0, 0.16, 3) @ np.cos([k * around + turn * k * k for k in (2, 3, 5)])
        path = centre + radius * bumps[:, None] * circle
        shade = int(rng.integers(150, 256))
        cv2.fillPoly(layer, [(path * 8).astype(np.int32)], shade, cv2.LINE_AA, 3)
    return cv2.GaussianBlur(layer, (0, 0), blur).astype(np.float32) / 255


def draw_bites(rng: np.random.Generator, outline: Outline, n: int) -> np.ndarray:
    """Draw round notches along a moth-eaten border."""
    layer = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = np.nonzero(np.abs(outline.depth[::4, ::4]) < 0.06)
    for index in rng.integers(0, max(1, len(rows)), n if len(rows) else 0):
        centre = (int(4 * columns[index]), int(4 * rows[index]))
        cv2.circle(layer, centre, int(rng.integers(5, 17)), 255, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(layer, (0, 0), 1.5).astype(np.float32) / 255


def draw_streaks(rng: np.random.Generator, outline: Outline, n: int) -> np.ndarray:
    """Draw radial streaks across a section of the border."""
    layer = np.zeros((SIDE, SIDE), np.uint8)
    middle = SIDE / 2
    start, arc = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 5)
    for angle in start + arc * rng.random(n):
        direction = np.array([np.cos(angle), np.sin(angle)])
        along = np.arange(10, SIDE // 2 - 4, 3)
        line = (middle + along[:, None] * direction).astype(int)
        outside = np.nonzero(outline.depth[line[:, 1], line[:, 0]] < 0)[0]
        edge = along[outside[0]] if len(outside) else SIDE / 3
        tip, foot = edge + rng.uniform(4, 26), max(4, edge - rng.uniform(10, 40))
        side = np.array([-direction[1], direction[0]]) * rng.uniform(2, 5)
        base = foot * direction
        wedge = middle + np.array([base - side, tip * direction, base + side])
        shade = int(rng.integers(90, 256))
        cv2.fillPoly(layer, [(wedge * 8).astype(np.int32)], shade, cv2.LINE_AA, 3)
    return cv2.GaussianBlur(layer, (0, 0), rng.uniform(1.2, 2.5)).astype(np.float32) / 255


def draw_vessels(rng: np.random.Generator, outline: Outline, n: int) -> np.ndarray:
    """Draw branching vessels that grow inwards, thinner at every fork."""
    layer = np.zeros((SIDE, SIDE), np.uint8)
    buds = [(start, rng.uniform(0, 2 * np.pi), 4.5) for start in _inside(rng, outline, n)]
    while buds:
        start, angle, thickness = buds.pop()
        turns = angle + np.cumsum(rng.normal(0, 0.28, rng.integers(5, 13)))
        steps = 6 * np.stack([np.cos(turns), np.sin(turns)], 1)
        path = start + np.cumsum(np.vstack([[[0, 0]], steps]), 0)
        px = round(thickness)
        cv2.polylines(layer, [(path * 8).astype(np.int32)], False, 255, px, cv2.LINE_AA, 3)
        if thickness > 1.6:
            forks = turns[-1] + np.array([-1, 1]) * rng.uniform(0.3, 0.9, 2)
            buds += [(path[-1], fork, thickness * rng.uniform(0.5, 0.75)) for fork in forks]
    return cv2.GaussianBlur(layer, (0, 0), 0.8).astype(np.float32) / 255 * (outline.depth > -0.12)
