"""The derivative of the logits by a feature map, as ONNX nodes: ONNX itself has none.

Only what stands between the last feature map and the logits is taken back, step by step. The
gradient is `(n_images or 1, n_classes, n_values)`: each logit by each value.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.shape_inference import infer_shapes

FLATTENING = ("Flatten", "Reshape")
PREFIX = "class_map/"


class _Nodes:
    """What is added to a graph, with names of its own."""

    def __init__(self, graph):
        self._graph = graph
        self._n_added = 0

    def constant(self, values):
        """Store values; return their name."""
        self._n_added += 1
        name = f"{PREFIX}constant_{self._n_added}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind, *inputs, **options):
        """Add a node; return the name of its output."""
        self._n_added += 1
        name = f"{PREFIX}{kind}_{self._n_added}"
        self._graph.node.append(helper.make_node(kind, inputs, [name], name, **options))
        return name


def add_gradient_map(
    model: onnx.ModelProto,
    made_by: Mapping[str, onnx.NodeProto],
    *,
    logits: str,
    pooling: onnx.NodeProto,
    feature_map: str,
    n_classes: int,
) -> str | None:
    """Add Grad-CAM of each class to a graph (Selvaraju et al., ICCV 2017).

    The weight of a channel is the sum over all positions of the derivative of the logit. With a sum
    for Grad-CAM's mean, the map of a network whose last dense layer reads an average is exactly its
    class activation map. What speaks against a class keeps its sign.

    Parameters
    ----------
    model
        Nodes and constants are added to its graph.
    made_by
        Node that gives each value.
    logits, feature_map
        Values of the graph; the feature map with channels last.
    pooling
        Node that makes a vector of each feature map, on the path to the logits.

    Returns
    -------
    str or None
        The value `(n_images, height, width, n_classes)`; None if the path has a step whose
        derivative is not known.
    """
    known = {value.name: value for value in infer_shapes(model).graph.value_info}
    height, width, n_channels = (
        axis.dim_value for axis in known[feature_map].type.tensor_type.shape.dim[1:]
    )
    flattened = pooling.op_type in FLATTENING
    n_values = height * width * n_channels if flattened else n_channels
    constants = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    path, value = [], logits
    while value != pooling.output[0]:
        path.append(made_by[value])
        value = path[-1].input[0]
    kinds = [node.op_type for node in path]
    joined = kinds.index("Concat") if "Concat" in kinds else len(kinds)
    dense_first = {"MatMul", "Gemm"} & set(kinds[joined:])  # before metadata join
    if dense_first or not all(_is_known(node, constants) for node in path):
        return None
    nodes = _Nodes(model.graph)
    gradient = nodes.constant(np.eye(n_classes, dtype=np.float32)[None])
    for node in path:
        gradient = _take_back(nodes, node, gradient, n_values)
    if flattened:
        shape = nodes.constant(np.array([0, n_classes, -1, n_channels]))  # 0: as it is
        by_position = nodes.add("Reshape", gradient, shape)
        gradient = nodes.add("ReduceSum", by_position, nodes.constant(np.array([2])), keepdims=0)
    # Of a mean and of a maximum, the derivatives by all positions add up to 1.
    weights = nodes.add("Transpose", gradient, perm=[0, 2, 1])
    weights = nodes.add("Unsqueeze", weights, nodes.constant(np.array([1])))
    return nodes.add("MatMul", feature_map, weights)


def _is_known(node, constants):
    """Return whether the derivative of a node by its first input is among those below."""
    others = list(node.input)[1:]
    if node.op_type in ("Concat", "Identity", "Relu"):
        return True
    if node.op_type == "Gemm":
        given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        plain = not given.get("transA") and given.get("alpha", 1) == given.get("beta", 1) == 1
        return plain and all(name in constants for name in others)
    kinds = ("Add", "Div", "MatMul", "Mul", "Sub")
    return node.op_type in kinds and all(name in constants for name in others)


def _take_back(nodes, node, gradient, n_values):
    """Return the gradient by the first input of a node, given that by its output."""
    if node.op_type in ("MatMul", "Gemm"):
        given = {entry.name: entry.i for entry in node.attribute}
        weights = node.input[1]
        if not given.get("transB"):
            weights = nodes.add("Transpose", weights, perm=[1, 0])
        return nodes.add("MatMul", gradient, weights)
    if node.op_type in ("Mul", "Div"):
        return nodes.add(node.op_type, gradient, node.input[1])
    if node.op_type == "Relu":
        zero = nodes.constant(np.float32(0))
        passed = nodes.add("Greater", node.output[0], zero)
        passed = nodes.add("Cast", passed, to=TensorProto.FLOAT)
        passed = nodes.add("Unsqueeze", passed, nodes.constant(np.array([1])))
        return nodes.add("Mul", gradient, passed)
    if node.op_type == "Concat":  # the image's features, then those of the metadata
        limits = [nodes.constant(np.array(values)) for values in ([0], [n_values], [2])]
        return nodes.add("Slice", gradient, *limits)
    return gradient  # Add, Sub, Identity
