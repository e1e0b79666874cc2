"""A small exported network with weights: a convolution, a mean, a dense layer, and class maps."""

import json
from pathlib import Path

import numpy as np
import onnx
from made_up_model import CODES, FACTS, PIXELS
from onnx import TensorProto, helper, numpy_helper

N_CHANNELS = 6


def make_network(*, seed=0, float16=False) -> onnx.ModelProto:
    """Return a graph whose weights are drawn with the seed."""
    rng = np.random.default_rng(seed)
    weights = {
        "unit": np.float32(100),
        "kernel": rng.normal(size=(N_CHANNELS, 3, 3, 3)).astype(np.float32),
        "conv_bias": rng.normal(size=N_CHANNELS).astype(np.float32),
        "scale": rng.normal(1, 0.3, (1, N_CHANNELS, 1, 1)).astype(np.float32),
        "dense": rng.normal(size=(N_CHANNELS, len(CODES))).astype(np.float32),
        "dense_bias": rng.normal(size=len(CODES)).astype(np.float32),
        "in_plane": np.array([1, 2]),
    }
    weights["copy"] = weights["dense"]
    nodes = [
        ("Div", ["pixels", "unit"], "scaled", {}),
        ("Transpose", ["scaled"], "first", {"perm": [0, 3, 1, 2]}),
        ("Conv", ["first", "kernel", "conv_bias"], "convolved", {"pads": [1, 1, 1, 1]}),
        ("Mul", ["convolved", "scale"], "normalized", {}),
        ("Relu", ["normalized"], "active", {}),
        ("Transpose", ["active"], "feature_map", {"perm": [0, 2, 3, 1]}),
        ("MatMul", ["feature_map", "copy"], "class_map", {}),
        ("ReduceMean", ["feature_map", "in_plane"], "features", {"keepdims": 0}),
        ("MatMul", ["features", "dense"], "product", {}),
        ("Add", ["product", "dense_bias"], "logits", {}),
    ]
    nodes = [helper.make_node(kind, given, [out], **options) for kind, given, out, options in nodes]
    if float16:
        for name in ("kernel", "dense", "copy"):
            weights[f"{name}/float16"] = weights.pop(name).astype(np.float16)
            to = {"to": TensorProto.FLOAT}
            nodes.insert(0, helper.make_node("Cast", [f"{name}/float16"], [name], **to))
    shapes = {"logits": ["n", 3], "class_map": ["n", PIXELS, PIXELS, 3]}
    shapes["feature_map"] = ["n", PIXELS, PIXELS, N_CHANNELS]
    image = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", PIXELS, PIXELS, 3])
    graph = helper.make_graph(
        nodes,
        "network",
        [image],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in shapes.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_network(path: Path, *, seed=0, float16=False, **changes) -> Path:
    """Write the network as an exported model; `changes` are to its facts."""
    model = make_network(seed=seed, float16=float16)
    helper.set_model_props(model, {"lesions": json.dumps(FACTS | changes)})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the constants of a graph by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
