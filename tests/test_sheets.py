import numpy as np
import pandas as pd

from lesions.sheets import pairs_sheet

COLUMNS = ["image_id", "other_image_id", "similarity", "near_duplicate", "dx", "other_dx"]


def texts(figure):
    own = [text.get_text() for text in figure.texts]
    return own + [
        text
        for axes in figure.axes
        for text in (axes.get_title(), *(text.get_text() for text in axes.texts))
    ]


def test_every_pair_is_shown_with_names_diagnoses_similarity_and_verdict():
    rows = [(f"a{k}", f"b{k}", 0.995 - k / 1000, k < 2, "nv", "mel") for k in range(4)]
    photographs = [(np.zeros((6, 8, 3), np.uint8),) * 2] * 4
    figure = pairs_sheet(pd.DataFrame(rows, columns=COLUMNS), photographs, note="invented")
    said = texts(figure)
    assert sum(len(axes.images) for axes in figure.axes) == 8
    assert {"a0 nv", "b0 mel", "a3 nv", "b3 mel", "invented"} <= set(said)
    assert "0.9950, near-duplicates" in said
    assert "0.9920, kept apart" in said


def test_a_sheet_without_pairs_says_so():
    figure = pairs_sheet(pd.DataFrame(columns=COLUMNS), [])
    assert "No two photographs of different lesions were compared." in texts(figure)
