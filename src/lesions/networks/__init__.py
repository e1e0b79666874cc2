"""The architectures: one file each, found by its name.

An architecture is a module with two functions:

`frozen(image_size, *, input_size, preprocessing, backbone)`
    A `keras.Model` from RGB pixels 0–255, float32 `(n, image_size, image_size, 3)`, to features.
    It is never trained, and runs once per image. One without a backbone leaves `backbone` out.
`trainable(features_shape, **head)`
    A `keras.Model` from features to seven probabilities. It names the settings of its `head`.

Their signatures are read from the file, without importing it, when params.yaml is checked.
"""

from importlib import import_module
from types import ModuleType


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
