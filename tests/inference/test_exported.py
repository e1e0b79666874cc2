import json
from functools import partial

import numpy as np
import onnx
import pytest
from made_up_model import CODES, CONFORMAL, FACTS, PIXELS, load_model, write_model

from lesions.inference.exported import ExportedModel
from lesions.inference.views import views
from lesions.probabilities import apply_temperature, prediction_sets


@pytest.fixture
def model(tmp_path):
    return partial(load_model, tmp_path)


def photographs():
    """Three of one colour each, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (PIXELS, PIXELS, 3))
    colours = np.diag([200, 150, 100])
    flat = [np.broadcast_to(colour, (PIXELS, PIXELS, 3)) for colour in colours]
    return np.array([*flat, noise]).astype(np.uint8)


def test_probabilities_are_calibrated_softmax_of_the_logits(model):
    found = model().predict(photographs())
    logits = photographs().mean(axis=(1, 2)) / 20
    raw = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, apply_temperature(raw, 2.0), rtol=1e-4)
    assert found.predicted[:3].tolist() == [0, 1, 2]
    expected = prediction_sets(found.probabilities, CONFORMAL)
    for kind, sets in expected.items():
        np.testing.assert_array_equal(found.sets[kind], sets)


def test_distances_are_in_units_of_the_threshold(model):
    found = model().predict(photographs())
    expected = photographs().var(axis=(1, 2, 3)) / 1000 / 4
    np.testing.assert_allclose(found.distances, expected, rtol=1e-4)


def test_without_calibration_thresholds_or_distance_there_are_none(model):
    calibration = {"temperature": None, "conformal": None, "decision": {"exponent": 0.0}}
    found = model(calibration=calibration, distance={"threshold": None}).predict(photographs())
    assert found.sets is None
    assert found.distances is None
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test_the_decision_rule_favours_rare_classes(model):
    priors = dict(zip(CODES, (0.9, 0.05, 0.05), strict=True))
    calibration = FACTS["calibration"] | {"decision": {"exponent": 1.0, "priors": priors}}
    grey = np.full((1, PIXELS, PIXELS, 3), 100, np.uint8)
    assert model().predict(grey).predicted.tolist() == [0]
    assert model(calibration=calibration).predict(grey).predicted.tolist() == [1]


@pytest.mark.parametrize("tta", ["none", "flips", "dihedral"])
def test_outputs_are_means_over_the_views(model, tta):
    loaded = model(tta=tta)
    by_view = [loaded.run(view, outputs=("logits",))[0] for view in views(photographs(), tta=tta)]
    exponentials = np.exp(np.array(by_view, np.float64))
    expected = (exponentials / exponentials.sum(axis=2, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(loaded.raw(photographs())[0], expected, rtol=1e-6)


def test_batches_do_not_matter(model):
    loaded = model(tta="dihedral")
    together = loaded.raw(photographs())[0]
    alone = np.concatenate([loaded.raw(image[None])[0] for image in photographs()])
    np.testing.assert_array_equal(together, alone)


def test_what_is_no_exported_model_is_refused(tmp_path):
    plain = write_model(tmp_path / "plain.onnx")
    stripped = onnx.load(plain)
    del stripped.metadata_props[:]
    onnx.save(stripped, tmp_path / "stripped.onnx")
    write_model(tmp_path / "later.onnx", format=2)
    (tmp_path / "noise.onnx").write_bytes(b"no model")
    (tmp_path / "cut.onnx").write_bytes(plain.read_bytes()[:300])
    faults = {
        "stripped.onnx": "not one that this version",
        "later.onnx": "not one that this version",
        "noise.onnx": "is not an ONNX model that can be run",
        "cut.onnx": "is not an ONNX model that can be run",
        "absent.onnx": "There is no model",
        "": "is not a file",
    }
    for name, fault in faults.items():
        with pytest.raises(ValueError, match=fault):
            ExportedModel(tmp_path / name)


def test_a_model_that_refers_to_another_file_is_refused(tmp_path):
    """A model of unknown origin must not read files of its choice."""
    model = onnx.load(write_model(tmp_path / "model.onnx"))
    (tmp_path / "secret").write_bytes(bytes(4))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "secret"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "refers.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="is not an ONNX model that can be run"):
        ExportedModel(tmp_path / "refers.onnx")


def test_facts_are_json_in_the_file(tmp_path):
    properties = onnx.load(write_model(tmp_path / "model.onnx")).metadata_props
    assert json.loads(properties[0].value) == FACTS
