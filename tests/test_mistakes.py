import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from drawn import png, words

from lesions.atlas import mistakes_sheet
from lesions.mistakes import confident_mistakes, describe_mistakes
from lesions.taxonomy import LABELS, NOT_A_MEDICAL_DEVICE, PROBABILITIES

ROOT = Path(__file__).parents[1]


def sure_of(*pairs):
    """Give `(n_images, 7)`: of each pair, so much for this diagnosis, the rest shared equally."""
    probabilities = np.zeros((len(pairs), 7))
    for row, (dx, share) in enumerate(pairs):
        probabilities[row] = (1 - share) / 6
        probabilities[row, LABELS[dx]] = share
    return probabilities


def images_of(*diagnoses):
    ids = [f"ISIC_{row:07d}" for row in range(len(diagnoses))]
    return pd.DataFrame({"image_id": ids, "label": [LABELS[dx] for dx in diagnoses]})


@pytest.fixture
def four():
    """Two of four are wrong: a melanoma taken for a nevus, and, surer, a nevus for a melanoma."""
    test = images_of("nv", "mel", "nv", "bcc")
    return test, sure_of(("nv", 0.99), ("nv", 0.8), ("mel", 0.9), ("bcc", 0.4))


def test_only_mistakes_are_given_the_surest_first(four):
    expected = pd.DataFrame(
        {
            "image_id": ["ISIC_0000002", "ISIC_0000001"],
            "dx": ["nv", "mel"],
            "predicted": ["mel", "nv"],
            "probability": [0.9, 0.8],
        }
    )
    pd.testing.assert_frame_equal(confident_mistakes(*four, n=24), expected)
    pd.testing.assert_frame_equal(confident_mistakes(*four, n=1), expected[:1])


def test_equally_sure_mistakes_come_by_image_id():
    test = images_of("nv", "nv", "nv")[::-1]
    mistakes = confident_mistakes(test, sure_of(*[("mel", 0.7)] * 3), n=2)
    assert mistakes["image_id"].tolist() == ["ISIC_0000000", "ISIC_0000001"]


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (1, "the 1 most confident of 2 mistakes among 4 test images"),
        (24, "2 mistakes among 4 test images"),
    ],
)
def test_the_title_says_how_many_of_how_many(four, n, said):
    assert describe_mistakes(*four, n=n) == said


def test_the_title_says_when_there_is_none():
    assert describe_mistakes(images_of("nv"), sure_of(("nv", 1)), n=5) == (
        "no mistake among 1 test images"
    )


def test_the_sheet_shows_each_mistake_with_id_truth_prediction_and_probability(four):
    mistakes = confident_mistakes(*four, n=24)
    photographs = [np.zeros((450, 600, 3), np.uint8), np.zeros((28, 28, 3), np.uint8)]
    sheet = mistakes_sheet(mistakes, photographs, title="cnn: all", note="Drawn.")
    shown = words(sheet)
    for text in ("cnn: all", "ISIC_0000002", "nv, taken for mel (0.900)", "Drawn."):
        assert text in shown
    assert NOT_A_MEDICAL_DEVICE in shown
    assert len([axes for axes in sheet.axes if axes.images]) == 2


def test_a_model_without_mistakes_gets_a_sheet_that_says_so():
    none = confident_mistakes(images_of("nv"), sure_of(("nv", 1)), n=5)
    assert none.empty
    assert "No test image was taken for another" in words(mistakes_sheet(none, [], title="cnn"))


@pytest.mark.parametrize("n_mistakes", [0, 1, 6, 7, 100])
def test_no_text_leaves_the_sheet_or_meets_another(n_mistakes):
    test = images_of(*["akiec"] * n_mistakes, "nv")
    shares = [("vasc", 0.999)] * n_mistakes
    mistakes = confident_mistakes(test, sure_of(*shares, ("nv", 1)), n=100)
    photographs = [np.zeros((45, 60, 3), np.uint8)] * n_mistakes
    sheet = mistakes_sheet(mistakes, photographs, title="cnn", note="Drawn.")
    sheet.draw_without_rendering()
    boxes = [text.get_window_extent() for text in sheet.texts]
    boxes += [axes.get_window_extent() for axes in sheet.axes]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= sheet.bbox.x1
        assert box.y1 <= sheet.bbox.y1
        assert box.count_overlaps(boxes[place + 1 :]) == 0


def test_the_same_mistakes_give_the_same_bytes(four):
    mistakes = confident_mistakes(*four, n=24)
    photographs = [np.full((45, 60, 3), 90, np.uint8)] * 2
    assert png(mistakes_sheet(mistakes, photographs, title="cnn")) == png(
        mistakes_sheet(mistakes, photographs, title="cnn")
    )


def test_each_mistake_needs_its_photograph(four):
    with pytest.raises(ValueError, match="one photograph for each mistake; found 0"):
        mistakes_sheet(confident_mistakes(*four, n=24), [], title="cnn")


def test_the_stage_draws_a_sheet_of_real_photographs(small_world, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(ROOT)
    labels = pd.read_csv(small_world / "HAM10000_metadata.csv")
    found = {file.stem: str(file.relative_to(small_world)) for file in small_world.rglob("*.jpg")}
    labels["label"] = labels["dx"].map(LABELS)
    labels["image_path"] = labels["image_id"].map(found)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    predictions = labels[["image_id", "label"]].assign(partition="test")
    predictions[list(PROBABILITIES)] = sure_of(*[("mel", 0.9)] * len(labels))
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
    argv = ["mistakes.py", *(str(word) for pair in flags.items() for word in pair)]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(ROOT / "stages/mistakes.py"), run_name="__main__")
    drawn = cv2.imread(str(tmp_path / "mistakes" / "cnn.png"))
    assert drawn.std() > 10  # photographs, not an empty page
