import json
import runpy
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from cloned import ROOT
from drawn import png, words
from made_up import CODES, LABELS, PROBABILITIES

from lesions.evaluation.images.choice import NO_TEST_IMAGES
from lesions.figures.contact_sheets import contact_sheet, decisions_sheet, near_duplicates_sheet

NAMES = {dx: f"the disease {dx}" for dx in CODES}
PAIR_COLUMNS = [
    *("image_id", "other_image_id", "similarity", "matches", "near_duplicate", "dx", "other_dx"),
]
MISTAKE_COLUMNS = ["image_id", "dx", "predicted", "probability"]


def photographs(*n_images):
    image = np.zeros((45, 60, 3), np.uint8)
    return {dx: [image] * n for dx, n in zip(CODES, n_images, strict=True)}


def make_mistakes(n_mistakes):
    rows = [(f"ISIC_{row:07d}", "akiec", "vasc", 0.999) for row in range(n_mistakes)]
    table = pd.DataFrame(rows, columns=MISTAKE_COLUMNS)
    return table, [np.full((45, 60, 3), 90, np.uint8)] * n_mistakes


def test_the_contact_sheet_names_and_counts_every_class():
    sheet = contact_sheet(
        photographs(2, 2, 2, 2, 2, 2, 2), names=NAMES, counts={"nv": 6705}, note="Drawn."
    )
    text = words(sheet)
    for dx, name in NAMES.items():
        assert dx in text
        assert name in text
    assert "6,705 images" in text
    assert "0 images" in text
    assert "Drawn." in text


@pytest.mark.parametrize("n_images", [(3, 1, 0, 3, 3, 3, 3), (0,) * 7, (1,) * 7])
def test_a_class_with_fewer_photographs_leaves_blanks(n_images):
    sheet = contact_sheet(photographs(*n_images), names=NAMES, counts={})
    drawn = [bool(axes.images) for axes in sheet.axes]
    assert len(drawn) == 7 * max(1, *n_images)
    assert sum(drawn) == sum(n_images)
    assert png(sheet)


def test_every_pair_has_its_ids_diagnoses_similarity_and_verdict():
    matches = [12, None, 3, None]
    rows = [
        (f"a{k}", f"b{k}", None if k == 2 else 0.995 - k / 1000, matches[k], k < 2, "nv", "mel")
        for k in range(4)
    ]
    images = [(np.zeros((6, 8, 3), np.uint8),) * 2] * 4
    sheet = near_duplicates_sheet(pd.DataFrame(rows, columns=PAIR_COLUMNS), images, note="Drawn.")
    assert sum(len(axes.images) for axes in sheet.axes) == 8
    lines = words(sheet).splitlines()
    assert {"a0 nv", "b0 mel", "a3 nv", "b3 mel", "Drawn."} <= set(lines)
    assert "12 matches, similarity 0.9950, near-duplicates" in lines
    assert "similarity 0.9940, near-duplicates" in lines
    assert "3 matches, below the threshold" in lines
    assert "similarity 0.9920, below the threshold" in lines


def test_a_sheet_without_pairs_says_so():
    sheet = near_duplicates_sheet(pd.DataFrame(columns=PAIR_COLUMNS), [])
    assert "No two photographs of different lesions were compared." in words(sheet)


def test_every_mistake_has_its_id_diagnosis_prediction_and_probability():
    rows = [("ISIC_0000002", "nv", "mel", 0.9), ("ISIC_0000001", "mel", "nv", 0.8)]
    images = [np.zeros((450, 600, 3), np.uint8), np.zeros((28, 28, 3), np.uint8)]
    table = pd.DataFrame(rows, columns=MISTAKE_COLUMNS)
    sheet = decisions_sheet(table, images, title="cnn: all", note="Drawn.", empty="None.")
    shown = words(sheet)
    for text in ("cnn: all", "ISIC_0000002", "nv, predicted mel (0.900)", "Drawn."):
        assert text in shown
    assert len([axes for axes in sheet.axes if axes.images]) == 2


def test_a_sheet_without_mistakes_says_so():
    sheet = decisions_sheet(*make_mistakes(0), title="cnn", empty="No validation image was.")
    assert "No validation image was." in words(sheet)


@pytest.mark.parametrize("n_mistakes", [0, 1, 6, 7, 100])
def test_no_text_of_the_mistakes_overlaps_or_is_cut_off(n_mistakes):
    texts = {"title": "cnn", "note": "Drawn.\nTwo lines.", "empty": NO_TEST_IMAGES}
    sheet = decisions_sheet(*make_mistakes(n_mistakes), **texts)
    sheet.draw_without_rendering()
    boxes = [text.get_window_extent() for text in sheet.texts]
    boxes += [axes.get_window_extent() for axes in sheet.axes]
    for index, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= sheet.bbox.x1
        assert box.y1 <= sheet.bbox.y1
        assert box.count_overlaps(boxes[index + 1 :]) == 0


def test_every_mistake_needs_its_photograph():
    mistakes, _ = make_mistakes(2)
    with pytest.raises(ValueError, match="is shorter"):
        decisions_sheet(mistakes, [], title="cnn", empty="None.")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: contact_sheet(photographs(1, 1, 1, 1, 1, 1, 1), names=NAMES, counts={}),
        lambda: decisions_sheet(*make_mistakes(2), title="cnn", empty="None."),
    ],
)
def test_the_same_photographs_give_the_same_bytes(draw):
    assert png(draw()) == png(draw())


def test_the_stage_draws_a_sheet_of_real_photographs(small_world, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the stage sets its own
    monkeypatch.chdir(ROOT)
    labels = pd.read_csv(small_world / "HAM10000_metadata.csv")
    found = {file.stem: str(file.relative_to(small_world)) for file in small_world.rglob("*.jpg")}
    labels["label"] = labels["dx"].map(LABELS)
    labels["image_path"] = labels["image_id"].map(found)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    predictions = labels[["image_id", "label"]].assign(partition="test")
    predictions[list(PROBABILITIES)] = 0.1 / 6
    predictions["p_mel"] = 0.9
    predictions.to_csv(tmp_path / "cnn.csv", index=False)
    nothing = {"calibrated": False, "reason": "", "temperature": None, "conformal": None}
    (tmp_path / "cnn.json").write_text(json.dumps(nothing), encoding="utf-8")
    flags = {
        "--name": "cnn",
        "--predictions": tmp_path / "cnn.csv",
        "--calibration": tmp_path / "cnn.json",
        "--labels": tmp_path / "labels.csv",
        "--raw": small_world,
        "--sheet": tmp_path / "mistakes" / "cnn.png",
    }
    argv = ["mistakes.py", *(str(text) for pair in flags.items() for text in pair)]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(ROOT / "stages/mistakes.py"), run_name="__main__")
    drawn = cv2.imread(str(tmp_path / "mistakes" / "cnn.png"))
    assert drawn.std() > 10  # photographs, not an empty page
