import numpy as np
import pytest
from drawn import png, words
from made_up import CODES

from lesions.evaluation.images.choice import ONLY_TESTED_ON
from lesions.figures.confusion import confusion_heatmap, draw_confusion


@pytest.fixture
def matrix():
    """Nine of ten akiec are found, there is no bcc, and all of a thousand nv are found."""
    matrix = np.diag([9, 0, 4, 4, 4, 1000, 4])
    matrix[0, 4] = 1
    return matrix


def test_the_heatmap_shows_counts_shares_and_its_note(matrix):
    text = words(confusion_heatmap(matrix, CODES, title="cnn", note="Not a device.\nSynthetic."))
    assert "9\n90%" in text  # 9 of 10 akiec
    assert "1\n10%" in text
    assert "1,000\n100%" in text
    assert "nv (1,000)" in text
    assert "Not a device.\nSynthetic." in text


def test_a_class_without_images_has_an_empty_row_and_no_warning(matrix):
    figure = confusion_heatmap(matrix, CODES, title="cnn")
    assert "bcc (0)" in words(figure)
    assert not [text for text in figure.axes[0].texts if text.get_position()[1] == 1]


def test_text_is_white_on_dark_cells_only(matrix):
    cells = confusion_heatmap(matrix, CODES, title="cnn").axes[0].texts
    assert {text.get_text(): text.get_color() for text in cells} == {
        "9\n90%": "white",
        "1\n10%": "black",
        "4\n100%": "white",
        "1,000\n100%": "white",
    }


def test_the_same_matrix_has_the_same_bytes(matrix):
    first, second = (png(confusion_heatmap(matrix, CODES, title="cnn")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("partition", "images"), [("val", "validation"), ("test", "test")])
def test_the_title_says_whose_images_are_counted(partition, images):
    details = {"partition": partition, "confusion": {"a": {"a": 1, "b": 2}, "b": {"a": 0, "b": 4}}}
    shown = words(draw_confusion(details, model="cnn", name="study"))
    assert f"cnn on the {images} images of study" in shown
    assert "a (3)" in shown


def test_a_set_that_is_not_scored_has_the_reason_instead_of_a_matrix():
    details = {"partition": None, "says": ONLY_TESTED_ON}
    figure = draw_confusion(details, model="cnn", name="clinic", note="Not a device.")
    assert ONLY_TESTED_ON in words(figure).replace("\n", " ")
    assert not figure.axes
