import numpy as np
import pytest

from lesions.networks.backend import keras, tf
from lesions.training.optimization import Optimizer

SETTINGS = {
    "n_steps": 10,
    "epochs": 3,
    "learning_rate": 0.1,
    "backbone_learning_rate": None,
    "schedule": "constant",
    "warmup_epochs": 0,
    "weight_decay": 0.0,
    "clip_norm": None,
    "ema_momentum": None,
}


def build():
    """Build a network of a layer called backbone, and a head; all weights are 1."""
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name="backbone")
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(1)(backbone(inputs)))
    network.set_weights([np.ones_like(weight) for weight in network.get_weights()])
    return network


def make(network, **changes):
    return Optimizer(network, **SETTINGS | changes)


def rates(n_steps=30, **changes):
    """Give the learning rate of each step, read off the steps of a gradient of 1: Adam's are it."""
    network = build()
    optimizer, found = make(network, **changes), []
    for _ in range(n_steps):
        before = [variable.numpy().copy() for variable in optimizer.trained]
        optimizer.apply([tf.ones_like(variable) for variable in optimizer.trained])
        found.append(
            [np.mean(old - new) for old, new in zip(before, optimizer.trained, strict=True)]
        )
    return np.array(found)


def test_a_constant_learning_rate_stays():
    np.testing.assert_allclose(rates(), 0.1, rtol=1e-3)


def test_warm_up_rises_linearly_to_the_learning_rate_and_stays_there():
    found = rates(warmup_epochs=1)[:, 0]
    np.testing.assert_allclose(found[:10], 0.01 * np.arange(10), atol=1e-4)
    np.testing.assert_allclose(found[10:], 0.1, rtol=1e-3)


def test_cosine_falls_to_zero_at_the_end_of_training():
    found = rates(schedule="cosine", warmup_epochs=1)[:, 0]
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(20) / 20))
    np.testing.assert_allclose(found[10:], expected, atol=1e-4)


def test_the_pretrained_part_has_its_own_learning_rate():
    network = build()
    optimizer = make(network, backbone_learning_rate=0.01)
    paths = [variable.path for variable in optimizer.trained]
    found = rates(n_steps=1, backbone_learning_rate=0.01)[0]
    assert sum(path.startswith("backbone") for path in paths) == 2
    for path, rate in zip(paths, found, strict=True):
        assert rate == pytest.approx(0.01 if path.startswith("backbone") else 0.1, rel=1e-3)


def test_a_learning_rate_for_a_pretrained_part_that_is_frozen_is_refused():
    network = build()
    network.get_layer("backbone").trainable = False
    with pytest.raises(ValueError, match="no pretrained part that is trained; set it to null"):
        make(network, backbone_learning_rate=0.01)
    assert len(make(network).trained) == 2


def test_weights_decay_and_biases_do_not():
    network = build()
    optimizer = make(network, weight_decay=0.5)
    optimizer.apply([tf.zeros_like(variable) for variable in optimizer.trained])
    for variable in optimizer.trained:
        # A step without a gradient leaves 1 - learning_rate * weight_decay = 0.95 of a weight.
        assert np.allclose(variable, 0.95 if len(variable.shape) == 2 else 1), variable.path


def test_gradients_are_clipped_by_their_norm_together():
    network = build()
    optimizer = make(network, clip_norm=1.0, backbone_learning_rate=0.1)
    seen = []
    for part, _ in optimizer.parts:
        part.apply = lambda gradients, variables: seen.extend(gradients)
    optimizer.apply([tf.ones_like(variable) for variable in optimizer.trained])
    squares = sum(float(tf.reduce_sum(gradient**2)) for gradient in seen)
    assert squares == pytest.approx(1)


@pytest.mark.parametrize("changes", [{}, {"backbone_learning_rate": 0.01}])
def test_averaged_weights_are_lent_and_given_back(changes):
    optimizer = make(build(), ema_momentum=0.3, **changes)
    averages = [variable.numpy().copy() for variable in optimizer.trained]
    for n in range(1, 7):
        optimizer.apply([tf.ones_like(variable) for variable in optimizer.trained])
        momentum = min(0.3, (1 + n) / (10 + n))  # reaches 0.3 with the third step
        for average, variable in zip(averages, optimizer.trained, strict=True):
            average += (1 - momentum) * (variable.numpy() - average)
    newest = [variable.numpy().copy() for variable in optimizer.trained]
    with optimizer.averaged():
        for average, variable in zip(averages, optimizer.trained, strict=True):
            np.testing.assert_allclose(variable, average, rtol=1e-5)
    for weights, variable in zip(newest, optimizer.trained, strict=True):
        np.testing.assert_array_equal(variable, weights)


def test_batch_statistics_are_averaged_with_the_weights_and_frozen_layers_stay():
    norm = keras.layers.BatchNormalization()
    frozen = keras.layers.Dense(2, trainable=False)
    network = keras.Sequential([keras.Input((2,)), frozen, norm, keras.layers.Dense(1)])
    optimizer = make(network, ema_momentum=0.5)
    before = frozen.kernel.numpy()
    average = norm.moving_mean.numpy().copy()
    for n in range(1, 4):
        norm.moving_mean.assign([n, 2 * n])
        optimizer.apply([tf.zeros_like(variable) for variable in optimizer.trained])
        average += (1 - min(0.5, (1 + n) / (10 + n))) * ([n, 2 * n] - average)
    with optimizer.averaged():
        np.testing.assert_allclose(norm.moving_mean, average, rtol=1e-6)
        np.testing.assert_array_equal(frozen.kernel, before)
    np.testing.assert_array_equal(norm.moving_mean, [3, 6])


def test_without_averages_the_weights_stay_as_they_are():
    network = build()
    optimizer = make(network)
    with optimizer.averaged():
        assert all(np.all(variable == 1) for variable in network.get_weights())
