"""The image networks of `keras.applications`, by name, without their classification layers."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.layers import rescale
from lesions.networks.pretrained import make_backbone
from lesions.networks.weights.files import check_digest

NETWORKS = tuple(name for name in dir(keras.applications) if name[0].isupper())


def build_backbone(
    image_pixels: int,
    *,
    network: str,
    weights: str,
    weights_sha256: str | None,
    input_pixels: int,
    preprocessing: str,
    pooling: str,
) -> keras.Model:
    """Return a frozen network of `keras.applications` without its top, with pooling.

    Parameters
    ----------
    image_pixels
        Height and width of the stored images.
    network
        One of `NETWORKS`, such as `VGG16`.
    weights
        `imagenet` (downloaded), `random`, or the path of a `.h5` file.
    weights_sha256
        SHA-256 of that file.
    input_pixels
        Height and width that the network sees.
    preprocessing
        `imagenet`: the network's own; `unit`: pixels divided by 255.
    pooling
        `flatten`, `average` or `max`.

    Raises
    ------
    ValueError
        If there is no such network, the images are too small for it, its own preprocessing cannot
        be replaced, or the weights cannot be loaded.
    """
    make_network, preprocess = _plan(network, weights, weights_sha256, preprocessing)
    return make_backbone(
        make_network,
        preprocess,
        image_pixels,
        input_pixels=input_pixels,
        pooling=pooling,
    )


def _plan(name: str, weights: str, sha256: str | None, preprocessing: str):
    """Return functions that make the network and preprocess pixels."""
    if name not in NETWORKS:
        raise ValueError(
            f"network: keras.applications has no {name!r}; choose from {', '.join(NETWORKS)}"
        )
    application = getattr(keras.applications, name)
    preprocess = sys.modules[application.__module__].preprocess_input
    if preprocessing == "unit":
        application, preprocess = _without_own_preprocessing(application, preprocess), rescale
    return partial(_load, application, name, weights, sha256), preprocess


def _without_own_preprocessing(application: Callable, preprocess: Callable) -> Callable:
    """Return the application without what it does to pixels inside the network."""
    if "include_preprocessing" in signature(application).parameters:
        return partial(application, include_preprocessing=False)
    pixel = np.full((1, 1, 1, 3), 7.0)
    if np.array_equal(preprocess(pixel.copy()), pixel):  # what is done, is done inside
        raise ValueError(
            f"preprocessing: {application.__name__} preprocesses pixels inside the network, which "
            "cannot be switched off; use preprocessing: imagenet"
        )
    return application


def _load(application, name, weights, sha256, shape) -> keras.Model:
    with warnings.catch_warnings():
        # MobileNet says which of its weights it loads; they do not depend on the input's shape.
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
        return _load_weights(
            partial(application, include_top=False, input_shape=shape), name, weights, sha256
        )


def _load_weights(application, name, weights, sha256) -> keras.Model:
    try:
        network = application(weights=None)
    except ValueError as error:
        shape = application.keywords["input_shape"]
        raise ValueError(f"{name} cannot be built at input_pixels = {shape[0]}: {error}") from error
    if weights == "random":
        return network
    if weights == "imagenet":
        try:
            return application(weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception if a download fails
            raise ValueError(
                f"The ImageNet weights of {name} could not be downloaded ({error}). On a machine "
                f"with internet access, run keras.applications.{name}(include_top=False)"
                f".save_weights('{name}.weights.h5'), and set weights to the path of that file."
            ) from error
    check_digest(Path(weights), sha256)
    try:
        with warnings.catch_warnings():
            # Keras would leave layers random that the file lacks, with this warning alone.
            warnings.filterwarnings("error", "Skipping nested container")
            network.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ValueError(
            f"{weights} does not hold the weights of {name} without its top: {error}; set weights "
            f"to a file of keras.applications.{name}(include_top=False).save_weights(...)"
        ) from error
    if not all(np.isfinite(values).all() for values in network.get_weights()):
        raise ValueError(f"{weights} has weights that are not finite; set weights to another file")
    return network
