import numpy as np
import pytest
from made_up_model import PIXELS, load_model

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.estimates import SCORES, Bootstrap
from lesions.explain.painting import measure_shortcuts, only_lesion, paint, without_lesion

SKIN, LESION, HAIR = (200, 150, 130), (90, 50, 40), (10, 10, 10)
HOW = ("mean of a ring", "inpainted")
# Telea's method leaves some grey levels on one colour; the lesion differs from skin by 80 to 110.
GREY_LEVELS = {"mean of a ring": 0, "inpainted": 12}


def make_photograph():
    """Skin with a lesion in the middle, and a hair far from it."""
    image, mask = np.full((60, 60, 3), SKIN, np.uint8), np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    image[mask] = LESION
    image[2] = HAIR
    return image, mask


@pytest.mark.parametrize("how", HOW)
def test_without_the_lesion_there_is_skin_in_its_place(how):
    image, mask = make_photograph()
    found = without_lesion(image, mask)[how]
    expected = image.copy()
    expected[mask] = SKIN
    np.testing.assert_allclose(found.astype(int), expected, atol=GREY_LEVELS[how])


@pytest.mark.parametrize("how", HOW)
def test_with_only_the_lesion_all_else_is_skin(how):
    image, mask = make_photograph()
    found = only_lesion(image, mask)[how]
    expected = np.full_like(image, SKIN)
    expected[mask] = LESION
    np.testing.assert_allclose(found.astype(int), expected, atol=GREY_LEVELS[how])


def test_the_mean_colour_has_an_edge_and_inpainting_does_not():
    """On skin that grows lighter, one colour shows the outline; what is continued does not."""
    image, mask = make_photograph()
    image[~mask] = np.arange(60, 180, 2, dtype=np.uint8)[np.nonzero(~mask)[1]][:, None]
    edges = {}
    for how, found in without_lesion(image, mask).items():
        edges[how] = np.abs(np.diff(found[30].astype(int), axis=0)).max()
    assert edges["mean of a ring"] > 15
    assert edges["inpainted"] < edges["mean of a ring"]


def test_a_lesion_that_fills_the_photograph_is_painted_all_the_same():
    image, _ = make_photograph()
    everything = np.ones((60, 60), bool)
    for found in (without_lesion(image, everything), only_lesion(image, everything)):
        assert {how: picture.shape for how, picture in found.items()} == dict.fromkeys(
            HOW, (60, 60, 3)
        )
    np.testing.assert_array_equal(only_lesion(image, everything)["inpainted"], image)


def test_photographs_as_they_are_come_first():
    image, mask = make_photograph()
    kinds = paint(image[None], mask[None])
    assert list(kinds) == [
        "as they are",
        *(f"without the lesion, {how}" for how in HOW),
        *(f"only the lesion, {how}" for how in HOW),
    ]
    np.testing.assert_array_equal(kinds["as they are"][0], image)


def test_scores_fall_where_the_colour_of_the_lesion_is_the_class(tmp_path):
    """A model of colours, on grey skin: it knows the class by the lesion alone."""
    labels = np.repeat([0, 1, 2], 10)
    images = np.full((30, PIXELS, PIXELS, 3), 100, np.uint8)
    masks = np.zeros((30, PIXELS, PIXELS), bool)
    masks[:, 5:11, 5:11] = True
    for image, label in zip(images, labels, strict=True):
        image[5:11, 5:11, label] = 250
    bootstrap = Bootstrap(labels, np.arange(30), BootstrapConfig(n_resamples=200))
    rows = measure_shortcuts(load_model(tmp_path), images, masks, bootstrap)
    found = {row["photographs"]: {name: row[name]["value"] for name in SCORES} for row in rows}
    for kind, scores in found.items():
        if kind.startswith("without"):
            assert scores["balanced_accuracy"] == 1 / 3
            assert scores["roc_auc_macro"] == 0.5
        else:
            assert scores == dict.fromkeys(SCORES, 1.0)
