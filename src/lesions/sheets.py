"""Contact sheets of what a person should look at."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lesions.figures import SMALL_PRINT, default_style


@default_style
def pairs_sheet(
    pairs: pd.DataFrame, photographs: Sequence[tuple[np.ndarray, np.ndarray]], *, note: str = ""
) -> Figure:
    """Draw pairs of photographs, three pairs a row, each with its similarity and diagnoses.

    Parameters
    ----------
    pairs
        `image_id`, `other_image_id`, `similarity`, `near_duplicate`, `dx`, `other_dx`, as
        `lesions.duplicates.pairs_across_lesions` gives them. It may be empty: the sheet says so.
    photographs
        The two RGB images of each pair, uint8 `(height, width, 3)`.
    note
        Small print below, such as where the photographs are from.

    Returns
    -------
    Figure
        As `lesions.figures.contact_sheet`.
    """
    n_rows = max(1, -(-len(pairs) // 3))
    figure = Figure(figsize=(10.2, 1.65 * n_rows + 0.5), dpi=100)
    places = figure.subplots(n_rows, 8, squeeze=False, width_ratios=[1, 1, 0.1, 1, 1, 0.1, 1, 1])
    inch = 1 / figure.get_figheight()
    figure.subplots_adjust(0.01, 0.55 * inch, 0.99, 1 - 0.3 * inch, wspace=0.04, hspace=0.35)
    for place in places.flat:
        place.axis("off")
    if pairs.empty:
        figure.text(0.01, 0.5, "No two photographs of different lesions were compared.")
    for number, (pair, images) in enumerate(
        zip(pairs.to_dict("records"), photographs, strict=True)
    ):
        first = 3 * (number % 3)
        both = places[number // 3, first : first + 2]
        for place, image in zip(both, images, strict=True):
            place.imshow(image)
        verdict = "near-duplicates" if pair["near_duplicate"] else "kept apart"
        names = f"{pair['image_id']} {pair['dx']}", f"{pair['other_image_id']} {pair['other_dx']}"
        for place, name in zip(both, names, strict=True):
            place.set_title(name, fontsize=7, pad=3)
        both[0].text(
            0, -0.06, f"{pair['similarity']:.4f}, {verdict}", transform=both[0].transAxes,
            fontsize=7, va="top",
        )  # fmt: skip
    figure.text(0.01, 0.1 * inch, note, **SMALL_PRINT)
    return figure
