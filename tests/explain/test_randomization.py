import numpy as np
import onnxruntime
import pytest
from made_up_model import PIXELS
from made_up_network import make_network, weights_of

from lesions.explain.randomization import count_layers, randomize_last

LAST, FIRST = ("dense", "dense_bias", "copy"), ("kernel", "conv_bias", "scale")


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


def run(model):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(3).integers(0, 256, (4, PIXELS, PIXELS, 3)).astype(np.float32)
    return session.run(["logits", "class_map"], {"pixels": pixels})


def test_convolutions_and_dense_layers_are_counted():
    assert count_layers(make_network()) == 2
    assert count_layers(make_network(float16=True)) == 2


def test_the_last_layers_are_permuted_and_no_others():
    model = make_network()
    before = weights_of(model)
    one, two = (weights_of(randomize_last(model, n, seed=3)) for n in (1, 2))
    assert changed(before, one) == set(LAST)
    assert changed(before, two) == {*LAST, *FIRST}
    assert changed(before, weights_of(model)) == set()  # the argument itself
    assert changed(one, two) == set(FIRST)  # cascading: the last layer is permuted alike


def test_a_permuted_array_has_the_same_values():
    before = weights_of(make_network())
    after = weights_of(randomize_last(make_network(), 2, seed=1))
    for name in before:
        assert before[name].shape == after[name].shape
        np.testing.assert_array_equal(np.sort(before[name].ravel()), np.sort(after[name].ravel()))


@pytest.mark.parametrize("float16", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_class_maps_stay_those_of_the_logits(float16, n_layers):
    model = randomize_last(make_network(float16=float16), n_layers, seed=2)
    logits, maps = run(model)
    bias = weights_of(model)["dense_bias"]
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias, logits, rtol=1e-4, atol=1e-4)
    before = run(make_network(float16=float16))
    assert np.abs(before[1] - maps).max() > 1


def test_another_seed_gives_another_network():
    found = [weights_of(randomize_last(make_network(), 1, seed=(0, draw))) for draw in (0, 1)]
    assert set(LAST) >= changed(*found) > set()


def test_grad_cam_reads_the_weights_that_are_permuted():
    """Of a flattening network: the map is that of the dense layer as it is after permuting."""
    from lesions.export.compress import store_float16
    from lesions.export.convert import convert
    from lesions.networks.cnn import build

    settings = {"filters": [4], "dense_units": [], "dropout": 0.1, "batch_norm_momentum": 0.9}
    network = build(np.empty((0, PIXELS, PIXELS, 3)), 3, input_pixels=PIXELS, **settings)
    exported = convert(network)
    model = randomize_last(exported, 1, seed=0)
    known, found = (weights_of(m) for m in (exported, model))
    kernel = network.layers[-1].get_weights()[0]
    name = next(n for n, values in known.items() if np.array_equal(values, kernel))
    assert not np.array_equal(found[name], kernel)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(3).integers(0, 256, (2, PIXELS, PIXELS, 3)).astype(np.float32)
    maps, features = session.run(["class_map", "feature_map"], {"pixels": pixels})
    weights = found[name].reshape(-1, 4, 3).sum(axis=0)
    np.testing.assert_allclose(maps, features @ weights, rtol=1e-4, atol=1e-5)
    assert count_layers(store_float16(exported)) == count_layers(exported) == 3
