"""Tests of lesions.optimizer."""

import numpy as np
import pytest

from lesions.optimizer import FusedAdam
from lesions.runtime import keras, tf

SHAPES = [(4, 3), (3,)]


def after_steps(optimizer, n_steps):
    variables = [keras.Variable(np.ones(shape, np.float32)) for shape in SHAPES]
    optimizer.build(variables)
    rng = np.random.default_rng(1)
    for _ in range(n_steps):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]
        optimizer.apply(gradients)
    return [np.asarray(one) for one in (*variables, *optimizer.variables)]


@pytest.mark.parametrize("n_steps", [1, 2, 50])
def test_steps_and_moments_are_those_of_keras_own_adam(n_steps):
    for ours, other in zip(
        after_steps(FusedAdam(0.01), n_steps),
        after_steps(keras.optimizers.Adam(0.01), n_steps),
        strict=True,
    ):
        np.testing.assert_allclose(ours, other, rtol=2e-5, atol=1e-7)


def test_a_step_moves_the_variables():
    weights, *_ = after_steps(FusedAdam(0.01), 1)
    np.testing.assert_allclose(np.abs(1 - weights), 0.01, rtol=1e-3)
