from functools import partial

import numpy as np
import pytest
from made_up_model import PIXELS, load_model

from lesions.explain.maps import class_maps, evidence, overlay


@pytest.fixture
def model(tmp_path):
    return partial(load_model, tmp_path)


def photographs():
    return np.random.default_rng(0).integers(0, 256, (3, PIXELS, PIXELS, 3)).astype(np.uint8)


@pytest.mark.parametrize("tta", ["none", "flips", "dihedral"])
def test_maps_of_turned_views_are_turned_back(model, tta):
    """The class maps of this model are the colours of the pixels, however they are turned."""
    found = class_maps(model(tta=tta), photographs())
    np.testing.assert_allclose(found, photographs() / 20, rtol=1e-5)


def test_the_mean_of_a_class_map_is_the_logit(model):
    loaded = model(tta="dihedral")
    logits = loaded.run(photographs(), outputs=("logits",))[0]
    np.testing.assert_allclose(
        class_maps(loaded, photographs()).mean(axis=(1, 2)), logits, rtol=1e-5
    )


def test_evidence_is_what_speaks_for_a_class_more_than_for_all():
    maps = np.zeros((2, 4, 4, 3))
    maps[0, 1, 2] = [9, 3, 0]
    maps[1, 0, 0] = [5, 5, 5]  # the same for all classes says nothing
    found = evidence(maps, np.array([0, 1]), pixels=4)
    expected = np.zeros((2, 4, 4))
    expected[0, 1, 2] = 9 - 4
    np.testing.assert_allclose(found, expected)
    against = evidence(maps, np.array([2, 1]), pixels=4)
    assert against.max() == 0


def test_evidence_has_the_size_that_is_asked_for():
    maps = np.random.default_rng(0).normal(size=(2, 5, 5, 3))
    assert evidence(maps, np.array([0, 1]), pixels=40).shape == (2, 40, 40)


def test_an_overlay_is_brightest_where_the_evidence_is():
    heat = np.zeros((20, 20))
    heat[5:8, 12:15] = 3
    grey = np.full((20, 20, 3), 100, np.uint8)
    found = overlay(grey, heat)
    assert found.shape == (20, 20, 3)
    assert found[6, 13].sum() > found[15, 3].sum()
    assert overlay(grey, np.zeros((20, 20))).std(axis=(0, 1)).max() == 0


def test_a_model_without_class_maps_is_refused(model):
    loaded = model()
    loaded.outputs.remove("class_map")
    with pytest.raises(ValueError, match="The model colours has no class maps: they need"):
        class_maps(loaded, photographs())
