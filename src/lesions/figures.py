"""Pictures of the study: photographs of every class, and who is taken for whom."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.figure import Figure

from lesions.taxonomy import DIAGNOSES, NOT_A_MEDICAL_DEVICE

SMALL_PRINT = {"fontsize": 7, "color": "0.35"}
# Matplotlib's defaults, whatever a matplotlibrc says, for all that draws or saves a figure.
default_style = rc_context(rcParamsDefault)


@default_style
def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure as PNG, the same bytes from every version of matplotlib that draws the same."""
    figure.savefig(path, metadata={"Software": None})


@default_style
def contact_sheet(
    photographs: Mapping[str, Sequence[np.ndarray]], *, counts: Mapping[str, int], note: str = ""
) -> Figure:
    """Draw a few photographs of each diagnosis, a row for each.

    Parameters
    ----------
    photographs
        `dx` to RGB images, uint8 `(height, width, 3)`; a row with fewer than the others ends in
        blanks.
    counts
        `dx` to the number of images in the whole cohort, written beside the row.
    note
        Small print below, such as where the photographs are from.

    Returns
    -------
    Figure
        Not bound to any window; see `save_figure`.
    """
    n_columns = max(1, *(len(row) for row in photographs.values()))
    figure = Figure(figsize=(3 + 1.4 * n_columns, 1.15 * len(photographs) + 0.3), dpi=100)
    grid = figure.subplots(len(photographs), n_columns, squeeze=False)
    # Inches for the names on the left and the small print below, as shares of the figure.
    left, bottom = 2.9 / figure.get_figwidth(), 0.3 / figure.get_figheight()
    figure.subplots_adjust(left, bottom, 0.995, 0.99, wspace=0.03, hspace=0.06)
    for axes, (dx, row) in zip(grid, photographs.items(), strict=True):
        for place in axes:
            place.axis("off")
        for place, photograph in zip(axes, row, strict=False):
            place.imshow(photograph)
        middle = np.mean(axes[0].get_position().intervaly)
        inch = 1 / figure.get_figheight()
        figure.text(0.01, middle + 0.12 * inch, dx, fontsize=12, weight="bold", va="center")
        text = f"{DIAGNOSES[dx]}\n{counts.get(dx, 0):,} images"
        figure.text(0.01, middle - 0.16 * inch, text, fontsize=8, va="center")
    figure.text(0.01, 0.3 * bottom, note, **SMALL_PRINT)
    return figure


@default_style
def confusion_heatmap(
    matrix: np.ndarray, codes: Sequence[str], *, title: str, note: str = ""
) -> Figure:
    """Draw a confusion matrix: in each cell the number of images and its share of the row.

    The colour is the share, so that rare classes are as readable as frequent ones; the shares on
    the diagonal are the classes' sensitivities. A cell without images stays blank.

    Parameters
    ----------
    matrix
        Counts `(n_classes, n_classes)`; rows are the diagnoses, columns what was predicted.
    codes
        The classes' codes in the order of the matrix.
    title
        What was predicted, and by which model.
    note
        More small print, below the reminder that this is not a medical device.

    Returns
    -------
    Figure
        As `contact_sheet`.

    Raises
    ------
    ValueError
        If the matrix does not fit the codes.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(codes), len(codes)):
        raise ValueError(
            f"The matrix must be ({len(codes)}, {len(codes)}), a row and a column for each of "
            f"{', '.join(codes)}; found {matrix.shape}."
        )
    supports = matrix.sum(axis=1)
    shares = matrix / np.maximum(supports, 1)[:, None]

    figure = Figure(figsize=(6.6, 6.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n_images in np.ndenumerate(matrix):
        if n_images:
            share = shares[row, column]
            text = f"{n_images:,}\n{share:.0%}"
            colour = "white" if share > 0.55 else "black"  # legible on the dark and the light half
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    places = range(len(codes))
    rows = [f"{dx} ({n_images:,})" for dx, n_images in zip(codes, supports, strict=True)]
    axes.set_xticks(places, codes)
    axes.set_yticks(places, rows)
    axes.set(title=title, xlabel="predicted", ylabel="diagnosis (images)")
    axes.spines[:].set_color("0.7")
    figure.supxlabel(f"{NOT_A_MEDICAL_DEVICE}\n{note}".strip(), **SMALL_PRINT)
    return figure
