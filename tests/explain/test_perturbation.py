import numpy as np
import pytest
from made_up_model import PIXELS, load_model

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.estimates import Bootstrap
from lesions.explain.maps import class_maps, relative_maps
from lesions.explain.perturbation import delete, insert, measure_perturbation

RED = np.array([0])
LEFT_FIRST = np.tile(-np.arange(PIXELS, dtype=float), (1, PIXELS, 1))


@pytest.fixture
def model(tmp_path):
    """Its logits are the means of red, green and blue, divided by 20."""
    return load_model(tmp_path)


def half_red():
    image = np.zeros((1, PIXELS, PIXELS, 3), np.uint8)
    image[:, :, : PIXELS // 2, 0] = 200
    return image


def test_deletion_follows_the_probability_by_hand(model):
    # The mean red falls from 100 to 50 while the left half becomes 100, then rises to 100 again.
    share = np.linspace(0, 1, 11)
    n_changed = np.round(share * PIXELS**2)
    half = PIXELS**2 / 2
    red = 100 - 100 * np.minimum(n_changed, half) / PIXELS**2
    red += 100 * np.maximum(n_changed - half, 0) / PIXELS**2
    probability = np.exp(red / 20) / (np.exp(red / 20) + 2)
    expected = np.trapezoid(probability, share)
    found = delete(model, half_red(), LEFT_FIRST, RED)
    np.testing.assert_allclose(found, [expected], rtol=1e-5)
    assert delete(model, half_red(), -LEFT_FIRST, RED) > found + 0.05  # black first


def test_insertion_is_high_where_the_class_comes_first(model):
    good, bad = (insert(model, half_red(), order, RED) for order in (LEFT_FIRST, -LEFT_FIRST))
    assert 1 > good > bad > 1 / 3


def test_a_photograph_of_one_colour_stays_as_it_is(model):
    image = np.full((2, PIXELS, PIXELS, 3), (100, 60, 60), np.uint8)
    order = np.random.default_rng(0).random((2, PIXELS, PIXELS))
    expected = np.exp(5) / (np.exp(5) + 2 * np.exp(3))
    for function in (delete, insert):
        found = function(model, image, order, np.array([0, 0]))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_class_map_of_a_red_spot_beats_what_knows_nothing(model):
    rng = np.random.default_rng(1)
    images = np.full((30, PIXELS, PIXELS, 3), 60, np.uint8)
    for image, (row, column) in zip(images, rng.integers(0, PIXELS - 5, (30, 2)), strict=True):
        image[row : row + 5, column : column + 5, 0] = 255
    classes = np.zeros(30, int)
    bootstrap = Bootstrap(classes, np.arange(30), BootstrapConfig(n_resamples=200))
    chosen = relative_maps(class_maps(model, images), classes)
    rows = measure_perturbation(model, images, chosen, classes, bootstrap, seed=0)
    assert [row["order"] for row in rows] == ["class map", "Gaussian in the centre", "random"]
    assert rows[0]["insertion_difference"] is None
    for row in rows[1:]:
        assert row["insertion_difference"]["low"] > 0
        assert row["deletion_difference"]["high"] < 0
        for name in ("insertion", "deletion"):
            difference = rows[0][name]["value"] - row[name]["value"]
            np.testing.assert_allclose(row[f"{name}_difference"]["value"], difference)
