"""Pretrained networks as backbones: pixels in, features out, frozen or to be fine-tuned."""

from collections.abc import Callable, Sequence

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.layers import dense_layers, list_layers, pixel_input

POOLING = {
    "flatten": keras.layers.Flatten,
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def make_backbone(
    make_network: Callable[[tuple[int, int, int]], keras.Model],
    preprocess: Callable,
    image_pixels: int,
    *,
    input_pixels: int,
    pooling: str,
) -> keras.Model:
    """Return a frozen model called `backbone`, from stored images to pooled features.

    Parameters
    ----------
    make_network
        Returns the network for an input shape.
    preprocess
        From RGB pixels 0–255 to what the network was trained on.
    image_pixels
        Height and width of the stored images.
    input_pixels
        Height and width that the network sees.
    pooling
        `flatten`, `average` or `max`.
    """
    inputs, values = pixel_input(image_pixels, input_pixels)
    network = make_network((input_pixels, input_pixels, 3))
    values = POOLING[pooling]()(network(preprocess(values)))
    backbone = keras.Model(inputs, values, name="backbone")
    backbone.trainable = False
    return backbone


def fine_tune(
    build_backbone: Callable[..., keras.Model],
    inputs: np.ndarray,
    n_classes: int,
    *,
    trainable: str,
    dense_units: Sequence[int],
    dropout: float,
    **settings,
) -> keras.Model:
    """Return a network to be fine-tuned: a backbone as one layer, dense layers, probabilities.

    Parameters
    ----------
    build_backbone
        Of a pretrained architecture; `settings` are its keyword arguments.
    inputs
        Has the shape of the images, `(0, image_pixels, image_pixels, 3)`, and no pixels.
    n_classes
        Number of probabilities.
    trainable
        `head`: the backbone is frozen, its batch normalisation and dropout compute as in inference;
        `last_<n>`: its last n layers with weights are trained, not counting batch normalisation,
        which is trained if the nearest layer with weights before it is; `all`: all of it.
    dense_units, dropout
        As of `lesions.networks.layers.dense_layers`.

    Raises
    ------
    ValueError
        If the backbone has fewer layers with weights than are to be trained.
    """
    backbone = build_backbone(inputs.shape[1], **settings)
    backbone.trainable = trainable != "head"
    if trainable == "head":
        for layer in list_layers(backbone):
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
    elif trainable != "all":
        _train_last(backbone, int(trainable.removeprefix("last_")))
    pixels = keras.Input(backbone.input_shape[1:], dtype="float32", name="pixels")
    values = dense_layers(backbone(pixels), n_classes, dense_units=dense_units, dropout=dropout)
    return keras.Model(pixels, values, name="fine_tuned")


def _train_last(backbone: keras.Model, n_layers: int) -> None:
    """Let the last layers with weights be trained, and batch normalisation after any of them."""
    counted = [layer for layer in list_layers(backbone) if _is_counted(layer)]
    if n_layers > len(counted):
        raise ValueError(
            f"trainable: last_{n_layers} is more than the {len(counted)} layers with weights that "
            f"the backbone has, batch normalisation not counted; write last_{len(counted)} or all"
        )
    for layer in counted[:-n_layers]:
        layer.trainable = False
    _freeze_batch_norm(backbone)


def _is_counted(layer) -> bool:
    is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
    return bool(layer.trainable_weights) and not is_batch_norm


def _freeze_batch_norm(network: keras.Model) -> None:
    """Freeze batch normalisation unless the nearest layer with weights before it is trained.

    Where branches meet before it, one that is trained is enough. Layers are followed along the
    graph: in the order of a list, the next layer may belong to another branch.
    """
    is_trained: dict[int, bool] = {}
    for operation in getattr(network, "operations", network.layers):  # from input to output
        before = [parent for node in operation._inbound_nodes[:1] for parent in node.parent_nodes]
        fate = any(is_trained.get(id(node.operation), False) for node in before)
        if isinstance(operation, keras.Model):
            _freeze_batch_norm(operation)
            fate = bool(operation.trainable_weights)
        elif isinstance(operation, keras.layers.BatchNormalization):
            operation.trainable = fate
        elif isinstance(operation, keras.layers.Layer) and operation.weights:
            fate = bool(operation.trainable_weights)
        is_trained[id(operation)] = fate
