"""Seed generators of layers: whatever they draw in an epoch follows from (seed, epoch) alone."""

from collections.abc import Sequence

import numpy as np

from lesions.networks.backend import keras


def list_seed_states(layers: Sequence[keras.Layer]) -> list[keras.Variable]:
    """Return the states of all seed generators of layers and networks.

    Keras lists the state of a layer's seed generators, whatever attribute holds them, in its
    `variables` and not in its `weights`.
    """
    weights = {id(variable) for layer in layers for variable in layer.weights}
    variables = [variable for layer in layers for variable in layer.variables]
    return [variable for variable in variables if id(variable) not in weights]


def reset_seed_states(states: Sequence[keras.Variable], seed: int, epoch: int) -> None:
    """Set every state to what follows from (seed, epoch) and its position in the list."""
    for position, state in enumerate(states):
        rng = np.random.default_rng([seed, epoch, position])
        state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))
