"""Contact sheets: photographs to be looked at, in rows."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lesions.figures.style import SMALL_PRINT, default_style

N_PAIRS = 3  # of near-duplicates, a row
N_DECISIONS = 6  # a row
# Inches, of a sheet of decisions: its width, a row, its photographs, the title, the small print.
WIDTH, HEIGHT, PICTURE, HEAD, FOOT = 10.2, 1.75, 1.27, 0.45, 0.5


@default_style
def contact_sheet(
    photographs: Mapping[str, Sequence[np.ndarray]],
    *,
    names: Mapping[str, str],
    counts: Mapping[str, int],
    note: str = "",
) -> Figure:
    """Draw a few photographs of each diagnosis, one diagnosis a row.

    Parameters
    ----------
    photographs : mapping of str to sequence of uint8 array, shape (height, width, 3)
        RGB images by `dx`; a shorter row ends in blanks.
    names : mapping of str to str
        Name of each diagnosis by `dx`.
    counts : mapping of str to int
        Number of images in the cohort by `dx`, written beside the row; 0 if missing.
    note : str
        Small print below.
    """
    captions = {dx: f"{names[dx]}\n{counts.get(dx, 0):,} images" for dx in photographs}
    return _draw_rows(photographs, captions, note)


@default_style
def augmentation_sheet(images: Mapping[str, Sequence[np.ndarray]], *, note: str = "") -> Figure:
    """Draw images as each augmentation policy changes them, a policy a row.

    Parameters
    ----------
    images : mapping of str to sequence of uint8 array, shape (height, width, 3)
        RGB images by policy; the same ones in every row.
    note : str
        Small print below.
    """
    return _draw_rows(images, dict.fromkeys(images, ""), note)


def _draw_rows(rows: Mapping[str, Sequence[np.ndarray]], captions, note) -> Figure:
    """Draw rows of images, each with its name and a caption at the left."""
    n_columns = max(1, *(len(row) for row in rows.values()))
    figure = Figure(figsize=(3 + 1.4 * n_columns, 1.15 * len(rows) + 0.3), dpi=100)
    grid = figure.subplots(len(rows), n_columns, squeeze=False)
    inch = 1 / figure.get_figheight()
    left, bottom = 2.9 / figure.get_figwidth(), 0.3 * inch
    figure.subplots_adjust(left, bottom, 0.995, 0.99, wspace=0.03, hspace=0.06)
    for axes, (name, row) in zip(grid, rows.items(), strict=True):
        for cell in axes:
            cell.axis("off")
        for cell, photograph in zip(axes, row, strict=False):
            cell.imshow(photograph)
        middle = np.mean(axes[0].get_position().intervaly)
        figure.text(0.01, middle + 0.12 * inch, name, fontsize=12, weight="bold", va="center")
        figure.text(0.01, middle - 0.16 * inch, captions[name], fontsize=8, va="center")
    figure.text(0.01, 0.3 * bottom, note, **SMALL_PRINT)
    return figure


@default_style
def near_duplicates_sheet(
    pairs: pd.DataFrame, photographs: Sequence[tuple[np.ndarray, np.ndarray]], *, note: str = ""
) -> Figure:
    """Draw pairs of similar photographs, three pairs a row.

    Parameters
    ----------
    pairs : DataFrame
        `image_id`, `other_image_id`, `similarity`, `matches`, `near_duplicate`, `dx`,
        `other_dx`. If it is empty, the sheet says so.
    photographs : sequence of pairs of uint8 array, shape (height, width, 3)
        RGB images of each pair.
    note : str
        Small print below.
    """
    n_rows = max(1, math.ceil(len(pairs) / N_PAIRS))
    figure = Figure(figsize=(10.2, 1.65 * n_rows + 0.5), dpi=100)
    grid = figure.subplots(n_rows, 8, squeeze=False, width_ratios=[1, 1, 0.1, 1, 1, 0.1, 1, 1])
    inch = 1 / figure.get_figheight()
    figure.subplots_adjust(0.01, 0.55 * inch, 0.99, 1 - 0.3 * inch, wspace=0.04, hspace=0.35)
    for cell in grid.flat:
        cell.axis("off")
    if pairs.empty:
        figure.text(0.01, 0.5, "No two photographs of different lesions were compared.")
    rows = zip(pairs.to_dict("records"), photographs, strict=True)
    for index, (pair, images) in enumerate(rows):
        row, column = divmod(index, N_PAIRS)
        cells = grid[row, 3 * column : 3 * column + 2]
        for cell, image, end in zip(cells, images, ("", "other_"), strict=True):
            cell.imshow(image)
            cell.set_title(f"{pair[f'{end}image_id']} {pair[f'{end}dx']}", fontsize=7, pad=3)
        verdict = "near-duplicates" if pair["near_duplicate"] else "below the threshold"
        measures = {"matches": "{:.0f} matches", "similarity": "similarity {:.4f}"}
        known = [text.format(pair[name]) for name, text in measures.items() if pd.notna(pair[name])]
        text = ", ".join([*known, verdict])
        cells[0].text(0, -0.06, text, transform=cells[0].transAxes, fontsize=7, va="top")
    figure.text(0.01, 0.1 * inch, note, **SMALL_PRINT)
    return figure


@default_style
def decisions_sheet(
    decisions: pd.DataFrame,
    pictures: Sequence[np.ndarray],
    *,
    title: str,
    empty: str,
    note: str = "",
    n_columns: int = N_DECISIONS,
) -> Figure:
    """Draw photographs with what a model decided, in the order of the table.

    Parameters
    ----------
    decisions : DataFrame
        `image_id`, `dx`, `predicted`, `probability`.
    pictures : sequence of uint8 array, shape (height, width, 3)
        RGB picture of each row, of any size.
    title, note : str
        Text above, small print below.
    empty : str
        What a sheet without decisions says.
    n_columns : int
        Pictures in a row; wide ones need fewer.
    """
    n_rows, cell = max(1, math.ceil(len(decisions) / n_columns)), WIDTH / n_columns
    height = HEAD + n_rows * HEIGHT + FOOT
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    figure.text(0.01, 1 - 0.5 * HEAD / height, title, fontsize=11, weight="bold", va="center")
    figure.text(0.01, 0.5 * FOOT / height, note, va="center", **SMALL_PRINT)
    if decisions.empty:
        text = textwrap.fill(empty, 60)
        figure.text(0.5, 0.5, text, fontsize=12, ha="center", va="center")
    rows = zip(decisions.to_dict("records"), pictures, strict=True)
    for index, (decision, picture) in enumerate(rows):
        row, column = divmod(index, n_columns)
        left, top = column * cell, height - HEAD - row * HEIGHT
        box = (left + 0.04, top - PICTURE, cell - 0.08, PICTURE)
        axes = figure.add_axes([box[0] / WIDTH, box[1] / height, box[2] / WIDTH, box[3] / height])
        axes.imshow(picture)
        axes.axis("off")
        verdict = "{dx}, predicted {predicted} ({probability:.3f})".format_map(decision)
        x, below = (left + cell / 2) / WIDTH, top - PICTURE
        centred = {"ha": "center", "va": "center"}
        figure.text(x, (below - 0.12) / height, verdict, fontsize=8, **centred)
        figure.text(x, (below - 0.27) / height, decision["image_id"], **centred, **SMALL_PRINT)
    return figure
