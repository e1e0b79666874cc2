"""Lesions of the seven diagnoses, as maps of pigments that light passes through."""

import cv2
import numpy as np

from lesions.datasets.synthetic.shapes import (
    SIDE,
    draw_bites,
    draw_cells,
    draw_dots,
    draw_outline,
    draw_streaks,
    draw_vessels,
    noise,
    smooth_step,
)

BROWN, BLUE, RED, YELLOW, WHITE = range(5)  # superficial and deep melanin, blood, keratin, scar
# Optical density for red, green and blue light at unit depth; white is mixed in, not absorbed.
# Chosen by eye: deep melanin looks blue because red light reaches it and is lost there.
DENSITY = np.array(
    [[0.50, 0.92, 1.20], [1.15, 0.82, 0.58], [0.14, 0.95, 0.72], [0.05, 0.24, 0.85]], np.float32
)
TISSUE = np.array([0.97, 0.87, 0.82], np.float32)  # reflectance of skin without pigment
SCAR = np.array([0.93, 0.87, 0.84], np.float32)

# What each diagnosis is mistaken for, the likeliest first; atypical lesions mix in one of these.
LOOKALIKES = {
    "akiec": ("bcc", "bkl", "nv"),
    "bcc": ("akiec", "nv", "bkl"),
    "bkl": ("nv", "mel", "akiec"),
    "df": ("nv", "bkl", "bcc"),
    "mel": ("nv", "bkl", "bcc"),
    "nv": ("mel", "bkl", "df"),
    "vasc": ("bcc", "nv", "mel"),
}
ATYPICAL = 0.3  # share of lesions; sets the difficulty of the classification


def draw_lesion(dx: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a lesion of a diagnosis (HAM10000's code) and the skin around it.

    Returns
    -------
    array of float32, shape (SIDE, SIDE, 3)
        Reflectance of red, green and blue light, 0–1.
    """
    outline = draw_outline(dx, rng)
    maps = _paint(dx, outline, rng)
    if rng.random() < ATYPICAL:
        other = rng.choice(LOOKALIKES[dx], p=[0.5, 0.3, 0.2])
        share = np.float32(rng.uniform(0.15, 0.55))
        maps = (1 - share) * maps + share * _paint(other, outline, rng)
    _add_skin(maps, rng)
    white = maps[WHITE].clip(0, 0.95, out=maps[WHITE])
    image = cv2.exp(cv2.transform(cv2.merge(list(maps[:WHITE])), -DENSITY.T))
    image = cv2.multiply(image, cv2.merge([(1 - white) * float(channel) for channel in TISSUE]))
    return cv2.add(image, cv2.merge([white * float(channel) for channel in SCAR]))


def _paint(dx, outline, rng):
    maps = np.zeros((5, SIDE, SIDE), np.float32)
    PAINTERS[dx](maps, outline, rng)
    return maps


def _add_skin(maps, rng):
    """Add the skin's own pigment: tone, flush, mottling and furrows."""
    tone = 0.03 + 0.85 * rng.beta(0.8, 3.0)
    flush = rng.uniform(0.03, 0.27)
    mottle = noise(rng, 5)
    furrows = draw_cells(rng, rng.uniform(8, 14)) - 0.5
    maps[BROWN] += tone * (1 + 0.1 * mottle) + 0.05 * furrows
    maps[RED] += flush * (1 + 0.15 * noise(rng, 7) - 0.1 * mottle) - 0.03 * furrows


def _paint_nv(maps, outline, rng):
    """Paint even brown, a network or globules, a border that fades evenly; some are pink."""
    pale = rng.random() < 0.12
    level = rng.uniform(0.2, 0.4) if pale else rng.uniform(0.45, 1.25)
    centre = rng.uniform(-0.2, 0.45) * smooth_step(outline.depth, 0.1, 0.8)
    body = level * (0.8 + centre + 0.12 * noise(rng, 7))
    if rng.random() < 0.65:
        spacing = rng.uniform(9, 15)
        body += level * rng.uniform(0.25, 0.6) * (draw_cells(rng, spacing) - 0.45)
    else:
        body += level * 0.55 * draw_dots(rng, outline, n=rng.integers(30, 160), size=(2, 5))
    maps[BROWN] = body * outline.mask
    maps[RED] = outline.mask * (rng.uniform(0.15, 0.35) if pale else rng.uniform(0, 0.18))
    maps[BLUE] = outline.mask * centre.clip(0) * level * 0.4


def _paint_mel(maps, outline, rng):
    """Paint patches of many colours, a blue-grey veil, regression, streaks, uneven globules."""
    patches = noise(rng, 5) + 0.5 * noise(rng, 12)
    dark = smooth_step(patches, -0.2, 0.8)
    level = rng.uniform(0.55, 1.15)
    network = draw_cells(rng, rng.uniform(12, 19)) - 0.4
    uneven = 0.35 * smooth_step(noise(rng, 4), -0.2, 0.8)
    maps[BROWN] = level * (0.65 + 1.1 * dark + uneven * network) * outline.mask
    if rng.random() < 0.6:
        streaks = draw_streaks(rng, outline, n=rng.integers(5, 30))
        maps[BROWN] = np.maximum(maps[BROWN], level * rng.uniform(0.8, 1.3) * streaks)
    maps[BROWN] += 0.9 * draw_dots(rng, outline, n=rng.integers(5, 45), size=(2, 8))
    veil = smooth_step(noise(rng, 4) + outline.depth, 0.3, 1.1) * outline.mask
    maps[BLUE] = rng.uniform(0.2, 0.9) * veil
    maps[WHITE] = 0.16 * veil * (rng.random() < 0.7)
    red = smooth_step(noise(rng, 4), 0.3, 1.2) * outline.mask
    maps[RED] = rng.uniform(0.05, 0.6) * red + 0.1 * outline.mask
    if rng.random() < 0.5:
        regression = smooth_step(noise(rng, 4) - dark, 0.4, 1.0) * outline.mask
        maps[BROWN] *= 1 - 0.75 * regression
        maps[WHITE] += 0.45 * regression
        maps[BLUE] += 0.5 * regression * draw_dots(rng, outline, n=250, size=(1, 2))


def _paint_bcc(maps, outline, rng):
    """Paint pink and pearly skin with branching vessels, blue-grey ovoid nests, an ulcer."""
    maps[RED] = outline.mask * (rng.uniform(0.12, 0.4) + 0.1 * noise(rng, 6))
    maps[RED] += rng.uniform(0.5, 1.1) * draw_vessels(rng, outline, n=rng.integers(3, 9))
    pearl = smooth_step(noise(rng, 6) + 0.5 * outline.depth, 0.1, 1.2) * outline.mask
    maps[WHITE] = rng.uniform(0.15, 0.5) * pearl
    if rng.random() < 0.75:
        nests = draw_dots(rng, outline, n=rng.integers(3, 14), size=(8, 26), blur=2.5)
        maps[BLUE] = rng.uniform(0.5, 1.0) * nests
        maps[BROWN] = rng.uniform(0, 0.45) * nests
    maps[BROWN] += outline.mask * rng.uniform(0, 0.25)
    if rng.random() < 0.4:
        ulcer = draw_dots(rng, outline, n=rng.integers(1, 3), size=(14, 38), blur=2)
        maps[RED] += 0.9 * ulcer
        maps[YELLOW] += 0.8 * ulcer
        maps[BROWN] += 0.35 * ulcer * smooth_step(noise(rng, 22), -0.3, 0.6)


def _paint_bkl(maps, outline, rng):
    """Paint waxy tan to brown, a moth-eaten border, milia-like cysts, comedo-like openings."""
    bites = draw_bites(rng, outline, n=rng.integers(0, 12))
    mask = outline.mask * (1 - bites)
    level = rng.uniform(0.2, 0.95)
    ridges = np.abs(noise(rng, 22) + 0.4 * noise(rng, 40))
    body = level * (0.75 + 0.35 * noise(rng, 9) + rng.uniform(0, 0.5) * (0.5 - ridges))
    maps[BROWN] = body.clip(0.05) * mask
    maps[YELLOW] = rng.uniform(0.15, 0.7) * mask
    maps[RED] = rng.uniform(0, 0.2) * mask
    comedones = draw_dots(rng, outline, n=rng.integers(0, 22), size=(3, 9), blur=1)
    maps[BROWN] += 0.9 * comedones * mask
    cysts = draw_dots(rng, outline, n=rng.integers(3, 32), size=(2, 6), blur=1.2)
    maps[WHITE] = 0.65 * cysts * mask + rng.uniform(0, 0.12) * mask


def _paint_akiec(maps, outline, rng):
    """Paint a strawberry pattern: red between yellow-white follicles; white to yellow scale."""
    cells = draw_cells(rng, rng.uniform(17, 27))
    follicle = 1 - smooth_step(cells, 0.12, 0.42)
    maps[RED] = outline.mask * rng.uniform(0.4, 0.9) * (0.45 + 0.6 * cells + 0.2 * noise(rng, 8))
    maps[RED] += 0.35 * draw_dots(rng, outline, n=rng.integers(0, 120), size=(1, 3))
    maps[WHITE] = rng.uniform(0.1, 0.5) * follicle * outline.mask
    maps[YELLOW] = rng.uniform(0.05, 0.4) * outline.mask
    scale = smooth_step(noise(rng, 8) + 0.7 * noise(rng, 26), rng.uniform(0.3, 1.0), 1.1)
    scale *= outline.mask
    maps[WHITE] += rng.uniform(0.2, 0.6) * scale
    maps[YELLOW] += rng.uniform(0.1, 0.8) * scale
    if rng.random() < 0.35:  # pigmented
        maps[BROWN] = rng.uniform(0.2, 0.7) * outline.mask * (0.6 + 0.5 * cells)


def _paint_df(maps, outline, rng):
    """Paint a white scar-like centre within a delicate light brown network."""
    ring = outline.mask * (1 - 0.6 * smooth_step(outline.depth, 0.25, 0.75))
    network = draw_cells(rng, rng.uniform(9, 13))
    maps[BROWN] = ring * rng.uniform(0.25, 0.75) * (0.35 + 0.9 * network)
    start = rng.uniform(0.2, 0.5)
    centre = smooth_step(outline.depth + 0.14 * noise(rng, 9), start, start + 0.35)
    maps[WHITE] = centre * rng.uniform(0.25, 0.75) * (0.8 + 0.25 * noise(rng, 20))
    maps[RED] = outline.mask * rng.uniform(0.05, 0.4)
    maps[YELLOW] = outline.mask * rng.uniform(0, 0.3)


def _paint_vasc(maps, outline, rng):
    """Paint red, purple or blue lacunae with pale septa between, sharply bordered."""
    lacunae = draw_dots(rng, outline, n=rng.integers(10, 45), size=(10, 30), blur=1.6)
    lacunae = np.maximum(lacunae, 0.75 * outline.mask * smooth_step(noise(rng, 6), -0.4, 0.8))
    shade = rng.uniform(0, 1)
    maps[RED] = lacunae * rng.uniform(0.8, 1.9) + 0.35 * outline.mask
    maps[BLUE] = lacunae * shade * (0.5 + 0.5 * smooth_step(noise(rng, 5), -0.5, 0.8))
    maps[BROWN] = lacunae * rng.uniform(0, 0.35)
    maps[WHITE] = outline.mask * (1 - lacunae) * rng.uniform(0, 0.2)


PAINTERS = {
    "akiec": _paint_akiec,
    "bcc": _paint_bcc,
    "bkl": _paint_bkl,
    "df": _paint_df,
    "mel": _paint_mel,
    "nv": _paint_nv,
    "vasc": _paint_vasc,
}
