import numpy as np
import pandas as pd
from drawn import words

from lesions.explain.measure import Explained
from lesions.explain.sheets import draw_sheets

CODES = ("mel", "nv")


def draw(labels, predicted, **changes):
    n = len(labels)
    probabilities = np.full((n, 2), 0.1)
    probabilities[np.arange(n), predicted] = 0.9
    heats = np.random.default_rng(0).random((n, 20, 20))
    explained = Explained({}, probabilities, np.array(predicted), heats)
    table = pd.DataFrame({"image_id": [f"ISIC_{row}" for row in range(n)], "label": labels})
    images = np.full((n, 20, 20, 3), 100, np.uint8)
    texts = {"title": "cnn", "note": "Drawn.", "n_shown": 3, "seed": 0} | changes
    return dict(draw_sheets(table, images, explained, codes=CODES, **texts))


def test_every_diagnosis_has_a_sheet_of_right_and_one_of_wrong_decisions():
    sheets = draw([0, 0, 1, 1, 1], [0, 1, 1, 1, 1])
    assert list(sheets) == ["mel_right", "mel_wrong", "nv_right", "nv_wrong"]
    shown = {name: words(sheet) for name, sheet in sheets.items()}
    assert "cnn: mel, 1 of 1 wrong decisions" in shown["mel_wrong"]
    assert "mel, predicted nv (0.900)" in shown["mel_wrong"]
    assert "ISIC_1" in shown["mel_wrong"]
    assert "ISIC_1" not in shown["mel_right"]
    assert "No image of nv was decided wrong." in shown["nv_wrong"]
    assert "Drawn." in shown["nv_right"]


def test_a_picture_is_the_photograph_beside_its_overlay():
    (axes,) = draw([0], [0])["mel_right"].axes
    picture = axes.images[0].get_array()
    assert picture.shape == (20, 44, 3)
    assert (picture[:, :20] == 100).all()
    assert (picture[:, 20:24] == 255).all()
    assert picture[:, 24:].std() > 5


def test_some_of_many_are_drawn_by_chance():
    first, second = (words(draw([1] * 30, [1] * 30, seed=s)["nv_right"]) for s in (0, 1))
    assert "3 of 30 right decisions" in first
    assert first != second
