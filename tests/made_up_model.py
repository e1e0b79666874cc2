"""A small exported model of three classes, which says what colour a photograph has."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lesions.inference.exported import ExportedModel

CODES = ("red", "green", "blue")
PIXELS = 16
THRESHOLDS = {"red": 0.9, "green": 0.7, "blue": 0.1}
CONFORMAL = {
    "coverage": 0.9,
    "n_images": 50,
    "threshold": 0.7,
    "classes": {code: {"n_images": 20, "threshold": t} for code, t in THRESHOLDS.items()},
}
FACTS = {
    "format": 1,
    "name": "colours",
    "profile": "demo",
    "weights": "float32",
    "classes": {code: f"a {code} one" for code in CODES},
    "malignant": ["red"],
    "resize": {"pixels": PIXELS, "interpolation": "area", "crop": "square", "decode": "full"},
    "tta": "none",
    "source": "synthetic",
    "trained_on": {"cpu": "none"},
    "model_sha256": "0" * 64,
    "calibration": {
        "calibrated": True,
        "temperature": 2.0,
        "partition": "cal",
        "n_images": 50,
        "conformal": CONFORMAL,
        "decision": {"rule": "plain", "exponent": 0.0},
    },
    "distance": {"threshold": 4.0, "false_alarms": 0.02, "n_images": 100},
}


def write_model(path: Path, **changes) -> Path:
    """Write the model: logits are the mean of each channel in units of 20.

    `distance` is the variance of all pixels divided by 1,000. `changes` are to the facts.
    """
    constants = {
        "unit": np.float32(20),
        "thousand": np.float32(1000),
        "in_plane": np.array([1, 2]),
        "in_image": np.array([1, 2, 3]),
    }
    nodes = [
        ("Identity", ["pixels"], "feature_map", {}),
        ("Div", ["pixels", "unit"], "class_map", {}),
        ("ReduceMean", ["pixels", "in_plane"], "means", {"keepdims": 0}),
        ("Div", ["means", "unit"], "logits", {}),
        ("ReduceMean", ["pixels", "in_image"], "mean", {"keepdims": 1}),
        ("Sub", ["pixels", "mean"], "centred", {}),
        ("Mul", ["centred", "centred"], "squared", {}),
        ("ReduceMean", ["squared", "in_image"], "variance", {"keepdims": 0}),
        ("Div", ["variance", "thousand"], "distance", {}),
    ]
    shapes = {"logits": ["n", 3], "distance": ["n"]}
    shapes |= {name: ["n", PIXELS, PIXELS, 3] for name in ("feature_map", "class_map")}
    image = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", PIXELS, PIXELS, 3])
    graph = helper.make_graph(
        [helper.make_node(kind, given, [out], **options) for kind, given, out, options in nodes],
        "colours",
        [image],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in shapes.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"lesions": json.dumps(FACTS | changes)})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def load_model(folder: Path, **changes) -> ExportedModel:
    """Write the model to a folder, and load it."""
    return ExportedModel(write_model(folder / "model.onnx", **changes), threads=1)
