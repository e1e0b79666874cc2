"""Architectures, one file each, found by their names; their layers.

An architecture is a module. Of a model it defines

`build(inputs, n_classes, **settings)`
    Return a `keras.Model` from a row to `n_classes` probabilities. `inputs` are the features of
    all training rows, `(n, n_features)`; of images, RGB pixels 0–255, it has the shape alone,
    `(0, image_pixels, image_pixels, 3)`.

Of a pretrained network it defines

`build_backbone(image_pixels, **settings)`
    Return a frozen `keras.Model` called `backbone` from RGB pixels 0–255, float32
    `(n, image_pixels, image_pixels, 3)`, to features `(n, n_features)`.

`lesions.networks.pretrained.fine_tune` makes a `build` of it.

The settings are those of the architecture's classes in `lesions.config.backbones` and
`lesions.config.models`.
"""

from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from inspect import Parameter, signature

SCHEMAS = {
    "build": "src/lesions/config/models.py",
    "build_backbone": "src/lesions/config/backbones.py",
}


def load_build(
    architecture: str, settings: Collection[str] | None = None, *, function: str = "build"
) -> Callable:
    """Return the function `build` or `build_backbone` of `lesions.networks.<architecture>`.

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
        if error.name != f"lesions.networks.{architecture}":
            raise  # the file exists, and imports what does not
        raise ValueError(f"Architecture {architecture!r} needs the file {file}: {error}") from error
    build, parts = getattr(module, function, None), []
    if build is None and function == "build" and hasattr(module, "build_backbone"):
        fine_tune = import_module("lesions.networks.pretrained").fine_tune
        parts = [fine_tune, module.build_backbone]
        build = partial(*parts)
    if build is None:
        raise ValueError(f"{file} must define {function}(); see lesions.networks")
    arguments = [a for part in parts or [build] for a in signature(part).parameters.values()]
    keywords = {argument.name for argument in arguments if argument.kind is Parameter.KEYWORD_ONLY}
    if settings is not None and (differing := sorted(keywords.symmetric_difference(settings))):
        raise ValueError(
            f"{file}: the keyword arguments of {function}() must be the settings of its class in "
            f"{SCHEMAS[function]}; only one of the two has {', '.join(differing)}"
        )
    return build
