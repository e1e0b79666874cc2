"""Architectures, one file each, found by their names; their layers.

An architecture is a module with one function. Of a model:

`build(inputs, n_classes, **settings)`
    Return a `keras.Model` from one row of `inputs`, an array with the training rows first, to
    `n_classes` probabilities. Rows are RGB pixels 0–255, or features of a backbone.

Of a frozen backbone:

`build(image_pixels, **settings)`
    Return a `keras.Model` from RGB pixels 0–255, float32 `(n, image_pixels, image_pixels, 3)`, to
    features `(n, n_features)`.

The settings are those of the architecture's class in `lesions.config.models`.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from inspect import Parameter, signature


def load_build(architecture: str, settings: Collection[str] | None = None) -> Callable:
    """Return the function `build` of `lesions.networks.<architecture>`.

    Raises
    ------
    ValueError
        If there is no such module, no such function in it, or its keyword arguments differ from
        the names of `settings`, if these are given.
    """
    file = f"src/lesions/networks/{architecture}.py"
    try:
        module = import_module(f"lesions.networks.{architecture}")
    except ModuleNotFoundError as error:
        raise ValueError(f"Architecture {architecture!r} needs the file {file}: {error}") from error
    if not hasattr(module, "build"):
        raise ValueError(f"{file} must define build(); see lesions.networks")
    arguments = signature(module.build).parameters.values()
    keywords = {argument.name for argument in arguments if argument.kind is Parameter.KEYWORD_ONLY}
    if settings is not None and (differing := sorted(keywords.symmetric_difference(settings))):
        raise ValueError(
            f"{file}: the keyword arguments of build() must be the settings of its class in "
            f"src/lesions/config/models.py; only one of the two has {', '.join(differing)}"
        )
    return module.build
