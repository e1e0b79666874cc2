"""The architectures: one file each, found by its name.

An architecture is a module with two functions:

`frozen(image_size, *, input_size, preprocessing, backbone)`
    A `keras.Model` from RGB pixels 0–255, float32 `(n, image_size, image_size, 3)`, to features.
    It is never trained, and runs once per image.
`trainable(features_shape, **head)`
    A `keras.Model` from features to seven probabilities.
"""

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

from lesions.runtime import keras


def load_architecture(name: str) -> ModuleType:
    """Import `lesions.networks.<name>`.

    Raises
    ------
    ValueError
        If there is no such file, or it lacks one of the two functions.
    """
    place = f"src/lesions/networks/{name}.py"
    try:
        architecture = import_module(f"lesions.networks.{name}")
    except ModuleNotFoundError as error:
        raise ValueError(f"architecture {name!r} must have a file {place}; {error}") from error
    for function in ("frozen", "trainable"):
        if not hasattr(architecture, function):
            raise ValueError(f"{place} must define {function}(); see lesions.networks")
    return architecture


def build_head(name: str, features_shape: Sequence[int], head: Mapping) -> keras.Model:
    """Build the trained part of the architecture `name` with the settings `head`.

    Raises
    ------
    ValueError
        If `head` has a setting that the architecture does not take, or lacks one.
    """
    trainable = load_architecture(name).trainable
    try:
        inspect.signature(trainable).bind(features_shape, **head)
    except TypeError as error:
        known = list(inspect.signature(trainable).parameters)[1:]
        raise ValueError(
            f"the head of architecture {name} must have {', '.join(known)}, and nothing else; "
            f"it has {', '.join(head)}: {error}; correct the model's head in params.yaml"
        ) from error
    return trainable(features_shape, **head)
