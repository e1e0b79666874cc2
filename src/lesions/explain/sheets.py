"""Contact sheets of right and of wrong decisions, each photograph beside its overlay."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lesions.explain.maps import overlay
from lesions.explain.measure import Explained
from lesions.figures.contact_sheets import decisions_sheet

N_COLUMNS = 4  # pairs in a row
GAP = 4  # px between a photograph and its overlay


def draw_sheets(
    table: pd.DataFrame,
    images: np.ndarray,
    explained: Explained,
    *,
    codes: Sequence[str],
    title: str,
    note: str,
    n_shown: int,
    seed: int,
) -> Iterator[tuple[str, Figure]]:
    """Yield two sheets of each diagnosis, with the names `<dx>_right` and `<dx>_wrong`.

    Parameters
    ----------
    table
        `image_id` and `label` of the photographs.
    images
        As the model reads them, uint8 RGB `(n_images, pixels, pixels, 3)`.
    explained
        The overlays show the evidence for the predicted class.
    title, note
        What every title begins with; small print.
    n_shown
        At most, drawn by chance with `seed`: neither the best nor the most confident ones.
    """
    names, rows = np.array(codes), np.arange(len(table))
    decisions = table[["image_id"]].assign(
        dx=names[table["label"]],
        predicted=names[explained.predicted],
        probability=explained.probabilities[rows, explained.predicted],
    )
    decisions.index = rows
    right = decisions["dx"] == decisions["predicted"]
    for dx in codes:
        for verdict, chosen in (("right", right), ("wrong", ~right)):
            found = decisions[(decisions["dx"] == dx) & chosen]
            shown = found.sample(min(n_shown, len(found)), random_state=seed).sort_index()
            texts = {"title": f"{title}: {dx}, {len(shown)} of {len(found)} {verdict} decisions"}
            texts |= {"note": note, "empty": f"No image of {dx} was decided {verdict}."}
            pairs = [_pair(images[row], explained.heats[row]) for row in shown.index]
            sheet = decisions_sheet(shown, pairs, **texts, n_columns=N_COLUMNS)
            yield f"{dx}_{verdict}", sheet


def _pair(image, heat):
    """Return a photograph and its overlay side by side."""
    gap = np.full((len(image), GAP, 3), 255, np.uint8)
    return np.concatenate([image, gap, overlay(image, heat)], axis=1)
