import numpy as np
import pandas as pd
import pytest
from made_up import CODES, LABELS, PROBABILITIES

from lesions.evaluation.images.choice import NO_TEST_IMAGES
from lesions.evaluation.images.mistakes import (
    COLUMNS,
    collect_mistakes,
    describe_mistakes,
    rank_mistakes,
)

NOT_CALIBRATED = {"temperature": None}


def confident_in(*pairs):
    """Return `(n_images, 7)`: of each pair, this share for the diagnosis, the rest equal."""
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
    """Two of four are wrong: a melanoma predicted as nevus and, more confidently, the reverse."""
    test = images_of("nv", "mel", "nv", "bcc")
    return test, confident_in(("nv", 0.99), ("nv", 0.8), ("mel", 0.9), ("bcc", 0.4))


def test_only_mistakes_are_selected_the_most_confident_first(four):
    expected = pd.DataFrame(
        {
            "image_id": ["ISIC_0000002", "ISIC_0000001"],
            "dx": ["nv", "mel"],
            "predicted": ["mel", "nv"],
            "probability": [0.9, 0.8],
        }
    )
    pd.testing.assert_frame_equal(rank_mistakes(*four, codes=CODES), expected)


def test_equally_confident_mistakes_are_sorted_by_image_id():
    test = images_of("nv", "nv", "nv")[::-1]
    mistakes = rank_mistakes(test, confident_in(*[("mel", 0.7)] * 3), codes=CODES)
    assert mistakes["image_id"].tolist() == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]


def test_a_model_without_mistakes_has_an_empty_table():
    assert rank_mistakes(images_of("nv"), confident_in(("nv", 1)), codes=CODES).empty


@pytest.mark.parametrize(
    ("n_mistakes", "n_shown", "text"),
    [
        (2, 1, "the 1 most confident of 2 mistakes among 4 test images"),
        (2, 24, "2 mistakes among 4 test images"),
        (1, 24, "1 mistake among 4 test images"),
        (0, 24, "no mistakes among 4 test images"),
    ],
)
def test_mistakes_are_described_by_how_many_of_how_many(n_mistakes, n_shown, text):
    assert describe_mistakes(n_mistakes, 4, n_shown=n_shown, partition="test") == text


@pytest.fixture
def predicted(four):
    """The four, the first two of them validation images, the others test images."""
    rows, probabilities = four
    rows = rows.assign(partition=["val", "val", "test", "test"])
    return rows.join(pd.DataFrame(probabilities, columns=list(PROBABILITIES)))


@pytest.mark.parametrize(
    ("partition", "wrong", "images"),
    [("val", "ISIC_0000001", "validation image"), ("test", "ISIC_0000002", "test image")],
)
def test_the_sheet_shows_mistakes_of_the_partition_that_is_scored(
    predicted, partition, wrong, images
):
    found = collect_mistakes(predicted, NOT_CALIBRATED, partition=partition, n_shown=24)
    assert found[0]["image_id"].tolist() == [wrong]
    assert found[1:] == (f"1 mistake among 2 {images}s", f"No {images} was misclassified.")


def test_a_study_without_test_images_has_a_sheet_that_says_so(predicted):
    found = collect_mistakes(predicted[:2], NOT_CALIBRATED, partition="test", n_shown=24)
    assert list(found[0]) == list(COLUMNS)
    assert found[0].empty
    assert found[1:] == ("no mistakes are shown", NO_TEST_IMAGES)
