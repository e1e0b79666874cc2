"""A picture book of mistakes: each photograph with what it shows and what it was taken for."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lesions.figures import SMALL_PRINT, default_style
from lesions.taxonomy import NOT_A_MEDICAL_DEVICE

N_COLUMNS = 6
# Inches: a photograph with the two lines below it, title and small print.
WIDTH, HEIGHT, PICTURE, HEAD, FOOT = 1.7, 1.75, 1.27, 0.45, 0.5


@default_style
def mistakes_sheet(
    mistakes: pd.DataFrame, photographs: Sequence[np.ndarray], *, title: str, note: str = ""
) -> Figure:
    """Draw mistakes in rows of six, in the order of the table.

    Parameters
    ----------
    mistakes
        As `lesions.mistakes.confident_mistakes` gives them; without a row the sheet says so.
    photographs
        RGB images, uint8 `(height, width, 3)`, one for each row; any size, shown whole.
    title
        Which model and which mistakes.
    note
        More small print, below the reminder that this is not a medical device.

    Returns
    -------
    Figure
        As `lesions.figures.contact_sheet`.

    Raises
    ------
    ValueError
        If there is not one photograph for each mistake.
    """
    if len(mistakes) != len(photographs):
        raise ValueError(
            f"There must be one photograph for each mistake; found {len(photographs)} photographs "
            f"for {len(mistakes)} mistakes."
        )
    n_rows = max(1, math.ceil(len(mistakes) / N_COLUMNS))
    width, height = N_COLUMNS * WIDTH, HEAD + n_rows * HEIGHT + FOOT
    figure = Figure(figsize=(width, height), dpi=100)
    figure.text(0.01, 1 - 0.5 * HEAD / height, title, fontsize=11, weight="bold", va="center")
    note = f"{NOT_A_MEDICAL_DEVICE}\n{note}".strip()
    figure.text(0.01, 0.5 * FOOT / height, note, va="center", **SMALL_PRINT)
    if mistakes.empty:
        text = "No test image was taken for another diagnosis."
        figure.text(0.5, 0.5, text, fontsize=12, ha="center", va="center")
    rows = mistakes.to_dict("records")
    for place, (row, photograph) in enumerate(zip(rows, photographs, strict=True)):
        down, right = divmod(place, N_COLUMNS)
        left, top = right * WIDTH, height - HEAD - down * HEIGHT
        box = (left + 0.04, top - PICTURE, WIDTH - 0.08, PICTURE)
        axes = figure.add_axes([box[0] / width, box[1] / height, box[2] / width, box[3] / height])
        axes.imshow(photograph)
        axes.axis("off")
        truth = f"{row['dx']}, taken for {row['predicted']} ({row['probability']:.3f})"
        for text, down_by, style in (
            (truth, 0.12, {"fontsize": 8}),
            (row["image_id"], 0.27, SMALL_PRINT),
        ):
            x, y = (left + WIDTH / 2) / width, (top - PICTURE - down_by) / height
            figure.text(x, y, text, ha="center", va="center", **style)
    return figure
