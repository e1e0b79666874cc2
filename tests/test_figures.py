import json
from pathlib import Path

import numpy as np
import pytest
from drawn import png, words
from dvc_render import VegaRenderer

from lesions.figures import confusion_heatmap, contact_sheet
from lesions.taxonomy import CODES, DIAGNOSES, NOT_A_MEDICAL_DEVICE

TEMPLATES = sorted((Path(__file__).parents[1] / ".dvc" / "plots").glob("*.json"))


def photographs(*n_images):
    image = np.zeros((45, 60, 3), np.uint8)
    return {dx: [image] * n for dx, n in zip(CODES, n_images, strict=True)}


@pytest.fixture
def matrix():
    """Nine of ten akiec found, no bcc in the test part, a thousand nv all found."""
    matrix = np.diag([9, 0, 4, 4, 4, 1000, 4])
    matrix[0, 4] = 1
    return matrix


def test_the_contact_sheet_names_and_counts_every_class():
    sheet = contact_sheet(photographs(2, 2, 2, 2, 2, 2, 2), counts={"nv": 6705}, note="Drawn.")
    text = words(sheet)
    for dx, name in DIAGNOSES.items():
        assert dx in text
        assert name in text
    assert "6,705 images" in text
    assert "0 images" in text
    assert "Drawn." in text


@pytest.mark.parametrize("n_images", [(3, 1, 0, 3, 3, 3, 3), (0,) * 7, (1,) * 7])
def test_a_class_with_fewer_photographs_leaves_blanks(n_images):
    sheet = contact_sheet(photographs(*n_images), counts={})
    drawn = [bool(axes.images) for axes in sheet.axes]
    assert len(drawn) == 7 * max(1, *n_images)
    assert sum(drawn) == sum(n_images)
    assert png(sheet)


def test_the_heatmap_shows_counts_shares_and_that_it_is_no_medical_device(matrix):
    text = words(confusion_heatmap(matrix, CODES, title="cnn", note="Synthetic."))
    assert "9\n90%" in text  # 9 of 10 akiec
    assert "1\n10%" in text
    assert "1,000\n100%" in text
    assert "nv (1,000)" in text
    assert f"{NOT_A_MEDICAL_DEVICE}\nSynthetic." in text


def test_a_class_without_images_gives_an_empty_row_and_no_warning(matrix):
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


def test_the_same_figure_has_the_same_bytes(matrix):
    for draw in (
        lambda: confusion_heatmap(matrix, CODES, title="cnn"),
        lambda: contact_sheet(photographs(1, 1, 1, 1, 1, 1, 1), counts={}),
    ):
        assert png(draw()) == png(draw())


def test_a_matrix_that_does_not_fit_the_codes_is_refused():
    with pytest.raises(ValueError, match=r"must be \(7, 7\).*found \(3, 3\)"):
        confusion_heatmap(np.eye(3, dtype=int), CODES, title="cnn")


def values_of(node, key):
    """Give every value that stands under `key` anywhere in a JSON tree."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [node[key]] if isinstance(node, dict) and key in node else []
    return own + [value for child in children for value in values_of(child, key)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_dvc_template_has_the_anchors_without_which_it_shows_nothing(path):
    template = json.loads(path.read_text(encoding="utf-8"))
    assert values_of(template, "values") == ["<DVC_METRIC_DATA>"]
    fields = values_of(template, "field")
    assert "<DVC_METRIC_X>" in fields
    assert "<DVC_METRIC_Y>" in fields
    assert "rev" in json.dumps(template), "experiments must be told apart in 'dvc plots diff'"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_that_lists_diagnoses_lists_those_of_the_taxonomy(path):
    for domain in values_of(json.loads(path.read_text(encoding="utf-8")), "domain"):
        if "nv" in domain:
            assert domain in (list(CODES), [*CODES, "malignant"])


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_dvc_fills_every_anchor_of_a_template(path):
    rows = [{"rev": rev, "a": "nv", "b": "1", "filename": "f", "field": "b"} for rev in ("x", "y")]
    renderer = VegaRenderer(
        rows, "plot", template=path.stem, template_dir=str(path.parent), x="a", y="b", title="t"
    )
    filled = renderer.get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled)
    assert filled["data"]["values"] == rows
