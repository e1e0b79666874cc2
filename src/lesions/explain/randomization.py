"""Networks whose last layers have lost what they learned.

The cascading randomisation of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
Weights are permuted within each array, so that each layer keeps their distribution.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = ("Conv", "Gemm", "MatMul")
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def count_layers(model: onnx.ModelProto) -> int:
    """Return the number of convolutions and dense layers on the way to the logits."""
    constants = _Constants(model.graph)
    return sum(_is_layer(node, constants) for node in _list_nodes(model.graph, "logits"))


def randomize_last(
    model: onnx.ModelProto, n_layers: int, *, seed: int | Sequence[int]
) -> onnx.ModelProto:
    """Return a model with the weights of its last layers permuted.

    Parameters
    ----------
    model
        That stage `export` wrote with weights of float32 or float16.
    n_layers
        Convolutions and dense layers, counted from the logits; biases and normalisations that
        follow one belong to it.
    seed
        The same one permutes the same layers alike, whatever `n_layers`.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    constants, rng = _Constants(model.graph), np.random.default_rng(seed)
    n_left, permuted = n_layers, set()
    for node in reversed(_list_nodes(model.graph, "logits")):
        for tensor in constants.read_by(node):
            if tensor.name not in permuted:
                permuted.add(tensor.name)
                values = numpy_helper.to_array(tensor)
                mixed = rng.permutation(values.ravel()).reshape(values.shape)
                tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
        n_left -= _is_layer(node, constants)
        if n_left == 0:
            break
    _copy_last_dense(model.graph, constants)
    return model


def load(path: Path) -> onnx.ModelProto:
    """Return the ONNX graph of an exported model."""
    return onnx.load_from_string(path.read_bytes())


class _Constants:
    """The weights in a graph, some of which are stored as float16 and cast."""

    def __init__(self, graph):
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
        self._stored = {name: source for name, source in casts.items() if source in self._tensors}

    def find(self, name):
        """Return the tensor behind a value, None if it is not a constant."""
        return self._tensors.get(self._stored.get(name, name))

    def read_by(self, node):
        """Return the arrays of weights that a node has beside its first input."""
        if node.op_type == "Cast":
            return []
        found = [self.find(name) for name in list(node.input)[1:]]
        return [t for t in found if t is not None and t.data_type in FLOATS and np.prod(t.dims) > 1]


def _is_layer(node, constants):
    return node.op_type in LAYERS and bool(constants.read_by(node))


def _list_nodes(graph, output):
    """Return the nodes that an output depends on, in the order of computation."""
    needed, found = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            found.append(node)
    return found[::-1]


def _copy_last_dense(graph, constants):
    """Give class maps the weights of the last dense layer, where they have a copy of them."""
    last = [nodes[-1] for nodes in (_matrices(graph, name) for name in ("class_map", "logits"))]
    copy, weights = (constants.find(node.input[1]) for node in last)
    if copy is None or copy.name == weights.name:  # Grad-CAM reads the layers themselves
        return
    values = numpy_helper.to_array(weights)[: copy.dims[0]]  # the rest is of the metadata
    copy.CopyFrom(numpy_helper.from_array(values.copy(), copy.name))


def _matrices(graph, output):
    nodes = _list_nodes(graph, output)
    return [node for node in nodes if node.op_type in ("Gemm", "MatMul")]
