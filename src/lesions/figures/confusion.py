"""Confusion matrices as heat maps."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lesions.figures.style import SMALL_PRINT, default_style
from lesions.taxonomy import PARTITION_NAMES

SIZE = {"figsize": (6.6, 6.4), "dpi": 120, "layout": "constrained"}


def draw_confusion(details: Mapping, *, model: str, name: str, note: str = "") -> Figure:
    """Draw the confusion matrix of a model on a set, or the sentence that says why it has none.

    Parameters
    ----------
    details : mapping
        As from `lesions.evaluation.evaluate.evaluate_set`.
    model, name : str
        The model, the set.
    note : str
        Small print below.
    """
    if details["partition"] is None:
        return notice(details["says"], title=f"{model} on {name}", note=note)
    matrix = pd.DataFrame(details["confusion"]).T
    title = f"{model} on the {PARTITION_NAMES[details['partition']]} images of {name}"
    return confusion_heatmap(matrix.to_numpy(), list(matrix), title=title, note=note)


@default_style
def notice(text: str, *, title: str, note: str = "") -> Figure:
    """Draw a sentence where there is nothing else to draw."""
    figure = Figure(**SIZE)
    figure.suptitle(title)
    figure.text(0.5, 0.5, textwrap.fill(text, 50), ha="center", va="center")
    figure.supxlabel(note, **SMALL_PRINT)
    return figure


@default_style
def confusion_heatmap(
    matrix: np.ndarray, codes: Sequence[str], *, title: str, note: str = ""
) -> Figure:
    """Draw a confusion matrix: the number of images in each cell and its share of the row.

    The colour is the share, so that rare classes are as readable as frequent ones; the shares on
    the diagonal are the sensitivities. A cell without images is left blank.

    Parameters
    ----------
    matrix : array of int, shape (n_classes, n_classes)
        Numbers of images; rows are diagnoses, columns predictions.
    codes : sequence of str
        Class codes, in the order of the matrix.
    title, note : str
        Text above, small print below.
    """
    supports = matrix.sum(axis=1)
    shares = matrix / np.maximum(supports, 1)[:, None]

    figure = Figure(**SIZE)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n_images in np.ndenumerate(matrix):
        if n_images:
            share = shares[row, column]
            text = f"{n_images:,}\n{share:.0%}"
            colour = "white" if share > 0.55 else "black"  # legible on dark and on light blue
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    rows = [f"{dx} ({n_images:,})" for dx, n_images in zip(codes, supports, strict=True)]
    axes.set_xticks(range(len(codes)), codes)
    axes.set_yticks(range(len(codes)), rows)
    axes.set(title=title, xlabel="predicted", ylabel="diagnosis (images)")
    axes.spines[:].set_color("0.7")
    figure.supxlabel(note, **SMALL_PRINT)
    return figure
