"""The ONNX file of a trained network, and what predicting needs besides its graph."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from lesions.export.compress import quantize_int8, store_float16
from lesions.export.convert import convert
from lesions.export.distance import add_distance, fit_gaussian
from lesions.inference.exported import BATCH_SIZE, FORMAT, KEY
from lesions.networks.backend import keras

MAX_FITTED = 4000  # training photographs that fit the distance
MAX_MEASURED = 500  # training photographs whose activations give the ranges of int8


def export_network(
    network: keras.Model,
    images: np.ndarray,
    rows: np.ndarray,
    *,
    weights: str,
    seed: int,
    threads: int,
) -> onnx.ModelProto:
    """Return a network as ONNX, with the outputs of `lesions.export.convert` and `distance`.

    Parameters
    ----------
    network
        From pixels, or pixels and metadata, to probabilities.
    images
        As the network reads them: uint8 RGB `(n_images, pixels, pixels, 3)`; may be a memory map or
        `lesions.imaging.photographs.Photographs`.
    rows
        Which of them the network was trained on; `MAX_FITTED` of these, drawn by `seed`, fit the
        distance.
    weights
        `float32`, `float16` or `int8`, see `lesions.export.compress`; what stays float32 in int8 is
        stored as float16.
    threads
        That ONNX Runtime uses; the last digits depend on their number.
    """
    model = convert(network)
    rows = np.random.default_rng(seed).permutation(rows)[:MAX_FITTED]
    if weights == "int8":
        model = quantize_int8(model, images[np.sort(rows[:MAX_MEASURED])])
    features = _run(model, images, np.sort(rows), "features", threads)
    model = add_distance(model, fit_gaussian(features))
    return model if weights == "float32" else store_float16(model)


def write_artefact(model: onnx.ModelProto, facts: Mapping, path: Path) -> None:
    """Write a model and its facts as one file; the same ones give the same bytes.

    Parameters
    ----------
    model
        From `export_network`.
    facts
        From `describe`.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    onnx.helper.set_model_props(model, {KEY: json.dumps(facts, ensure_ascii=False)})
    model.producer_name, model.producer_version = "lesions", ""  # not tf2onnx's version
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def describe(
    *,
    name: str,
    weights: str,
    settings: Mapping,
    pixels: int,
    trained_on: Mapping[str, str],
    model_sha256: str,
) -> dict:
    """Return the facts of an artefact that is not calibrated yet.

    Parameters
    ----------
    settings
        All settings of params.yaml.
    pixels
        Height and width of the images that the network reads.
    trained_on
        Machine and library versions, see `lesions.networks.saving.read_trained_on`.
    model_sha256
        Of the `.keras` file.

    Returns
    -------
    dict
        `format`, `name`, `profile`, `weights`; `classes`, code to name, in the order of the
        outputs, and `malignant`; `resize` and `tta`; `source`, the kind of the training
        photographs; `trained_on`, `model_sha256`; `calibration`, as stage `calibrate` writes it,
        of this artefact's own predictions; `distance`, with `threshold` (None: there is none).
    """
    codes = settings["classes"]["codes"]
    return {
        "format": FORMAT,
        "name": name,
        "profile": settings["profile"],
        "weights": weights,
        "classes": {dx: settings["classes"]["names"][dx] for dx in codes},
        "malignant": list(settings["classes"]["malignant"]),
        "resize": dict(settings["resize"]) | {"pixels": pixels},
        "tta": settings["predict"]["tta"],
        "source": settings["sets"]["study"]["source"]["kind"],
        "trained_on": dict(trained_on),
        "model_sha256": model_sha256,
        "calibration": {"temperature": None, "conformal": None, "decision": {"exponent": 0.0}},
        "distance": {"threshold": None},
    }


def choose_threshold(distances: np.ndarray, *, false_alarms: float) -> dict:
    """Return the distance that a share of photographs exceeds which are not unusual.

    Parameters
    ----------
    distances
        Of photographs that the network was not trained on, of the kind it was trained on.
    false_alarms
        Largest share of them above the threshold.
    """
    if not len(distances):
        return {"threshold": None, "false_alarms": false_alarms, "n_images": 0}
    threshold = float(np.quantile(distances, 1 - false_alarms, method="higher"))
    return {"threshold": threshold, "false_alarms": false_alarms, "n_images": len(distances)}


def _run(model, images, rows, output, threads):
    """Return an output of a model for some rows of the images; unknown metadata are zeros."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    unknown = {v.name: v.shape[1] for v in session.get_inputs() if v.name == "metadata"}
    found = []
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        inputs = {"pixels": images[batch].astype(np.float32)}
        inputs |= {name: np.zeros((len(batch), n), np.float32) for name, n in unknown.items()}
        found += session.run([output], inputs)
    return np.concatenate(found)
