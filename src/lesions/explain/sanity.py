"""Whether maps depend on what the network has learned.

A map that stays the same when the weights are drawn by chance does not show it (Adebayo et al.,
"Sanity checks for saliency maps", NeurIPS 2018).
"""

import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from lesions.explain.estimates import Bootstrap
from lesions.explain.localization import centred_gaussian
from lesions.explain.maps import relative_maps
from lesions.explain.randomization import count_layers, load, randomize_last
from lesions.inference.exported import ExportedModel

DEPTHS = (1, 2, 5, 10, 20)  # layers from the end, and all of them
N_DRAWS = 5  # randomised networks at each depth


def choose_depths(n_layers: int) -> list[int]:
    """Return how many of the last layers are randomised in turn."""
    return [depth for depth in DEPTHS if depth < n_layers] + ([n_layers] if n_layers else [])


def correlate(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each map with the other one, `(n_images,)`.

    Maps are `(n_images, height, width)`. NaN where one of the two has one value everywhere.
    """
    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (maps, others)]
    centred = [values - values.mean(axis=1, keepdims=True) for values in ranks]
    length = np.sqrt(np.prod([(values**2).sum(axis=1) for values in centred], axis=0))
    products = (centred[0] * centred[1]).sum(axis=1)
    return np.divide(products, length, out=np.full(len(length), np.nan), where=length > 0)


def measure_randomization(
    path: Path,
    images: np.ndarray,
    classes: np.ndarray,
    bootstrap: Bootstrap,
    *,
    seed: int,
    threads: int,
) -> dict | None:
    """Return how alike the maps are to those of the network with its last layers randomised.

    Parameters
    ----------
    path
        Of the model, which is run on each image as it is, not on several views of it.
    images
        uint8 RGB `(n_images, pixels, pixels, 3)`.
    classes
        Position of the class whose map is compared, `(n_images,)`.

    Returns
    -------
    dict or None
        `n_layers`; `depths`, of each `layers` and `correlation`, the mean of `N_DRAWS` networks;
        and the correlation with a `gaussian` in the centre. None for weights of int8, which are not
        permuted.
    """
    model = ExportedModel(path, threads=threads)
    if model.facts["weights"] == "int8":
        return None
    maps = _compute_maps(model, images, classes)
    graph, depths = load(path), []
    n_layers = count_layers(graph)
    for depth in choose_depths(n_layers):
        found = []
        for draw in range(N_DRAWS):
            randomized = _open(randomize_last(graph, depth, seed=(seed, draw)), threads)
            found.append(correlate(maps, _compute_maps(randomized, images, classes)))
        mean = bootstrap.mean(np.mean(found, axis=0))
        depths.append({"layers": depth, "correlation": mean})
    centre = centred_gaussian(len(maps), pixels=maps.shape[1])
    gaussian = bootstrap.mean(correlate(maps, centre))
    return {"n_layers": n_layers, "depths": depths, "gaussian": gaussian}


def _compute_maps(model, images, classes):
    """Return what speaks for the classes, `(n_images, height, width)`."""
    (maps,) = model.run(images, outputs=("class_map",))
    return relative_maps(maps.astype(np.float64), classes)


def _open(graph, threads):
    """Return a graph as a model that can be run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "randomized.onnx"
        file.write_bytes(graph.SerializeToString())
        return ExportedModel(file, threads=threads)
