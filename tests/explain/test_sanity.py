import numpy as np
import pytest
from made_up_model import PIXELS, write_model
from made_up_network import write_network

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain import sanity
from lesions.explain.estimates import Bootstrap
from lesions.explain.sanity import choose_depths, correlate, measure_randomization


@pytest.fixture
def measure(tmp_path):
    def run(path):
        rng = np.random.default_rng(4)
        images = rng.integers(0, 256, (12, PIXELS, PIXELS, 3)).astype(np.uint8)
        classes = rng.integers(0, 3, 12)
        bootstrap = Bootstrap(classes, np.arange(12), BootstrapConfig(n_resamples=200))
        return measure_randomization(path, images, classes, bootstrap, seed=0, threads=1)

    return run


def test_a_map_correlates_with_itself_by_ranks_alone():
    maps = np.random.default_rng(0).normal(size=(3, 4, 4))
    np.testing.assert_allclose(correlate(maps, np.exp(maps)), 1)
    np.testing.assert_allclose(correlate(maps, -maps), -1)
    # Ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * (1 + 1 + 1 + 1) / (4 * 15)
    found = correlate(np.array([[[1, 2], [3, 4]]]), np.array([[[7, 5], [9, 8]]]))
    np.testing.assert_allclose(found, 0.6)


def test_a_map_of_one_value_has_no_correlation():
    assert np.isnan(correlate(np.ones((2, 3, 3)), np.random.default_rng(0).random((2, 3, 3)))).all()


def test_depths_end_with_all_layers():
    assert choose_depths(50) == [1, 2, 5, 10, 20, 50]
    assert choose_depths(5) == [1, 2, 5]
    assert choose_depths(1) == [1]


def test_maps_of_randomised_networks_are_others(measure, tmp_path):
    found = measure(write_network(tmp_path / "network.onnx"))
    assert found["n_layers"] == 2
    assert [row["layers"] for row in found["depths"]] == [1, 2]
    for row in found["depths"]:
        correlation = row["correlation"]
        assert correlation["low"] < correlation["value"] < correlation["high"] < 0.9


def test_maps_of_the_network_itself_are_the_same(measure, tmp_path, monkeypatch):
    """The control: where nothing is randomised, all correlations are 1."""
    monkeypatch.setattr(sanity, "randomize_last", lambda model, n_layers, seed: model)
    found = measure(write_network(tmp_path / "network.onnx"))
    for row in found["depths"]:
        np.testing.assert_allclose(list(row["correlation"].values()), 1)


def test_weights_of_int8_are_not_permuted(measure, tmp_path):
    assert measure(write_network(tmp_path / "network.onnx", weights="int8")) is None


def test_a_network_without_weights_has_no_depths(measure, tmp_path):
    assert measure(write_model(tmp_path / "model.onnx"))["depths"] == []
