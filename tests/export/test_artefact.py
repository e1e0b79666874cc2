import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from made_up_model import CODES, FACTS

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.export.artefact import choose_threshold, export_network, write_artefact
from lesions.export.compress import store_float16
from lesions.export.convert import convert
from lesions.export.parity import MAX_LOSS, compare_with_keras, largest_batch_difference
from lesions.inference.exported import ExportedModel
from lesions.inference.predict import predict_images
from lesions.networks.backend import keras

PIXELS = 16
N_IMAGES = 60


@pytest.fixture(scope="module")
def images():
    """Noise with a colour of its own in each image."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 200, (N_IMAGES, 1, 1, 3))
    return (colours + rng.integers(0, 56, (N_IMAGES, PIXELS, PIXELS, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def network(images):
    """A small network that has learned which channel is the largest."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((PIXELS, PIXELS, 3), name="pixels"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    network = keras.Sequential(layers)
    network.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    network.fit(images, images.mean(axis=(1, 2)).argmax(axis=1), epochs=20, verbose=0)
    return network


@pytest.fixture(scope="module")
def export(network, images, tmp_path_factory):
    def write(weights, **changes):
        model = export_network(network, images, np.arange(40), weights=weights, seed=0, threads=1)
        path = tmp_path_factory.mktemp(weights) / "model.onnx"
        write_artefact(model, FACTS | {"tta": "dihedral"} | changes, path)
        return path

    return write


@pytest.mark.parametrize(
    ("weights", "tolerance"), [("float32", 1e-5), ("float16", 2e-3), ("int8", 0.1)]
)
def test_an_artefact_gives_the_probabilities_of_the_stages(
    network, images, export, weights, tolerance
):
    exported = ExportedModel(export(weights))
    found, _ = exported.raw(images)
    expected = predict_images(network, images, codes=CODES, tta="dihedral").to_numpy()
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95


def test_images_are_predicted_alike_alone_and_together(images, export):
    exported = ExportedModel(export("float16"))
    assert largest_batch_difference(exported, images) < 1e-6


def test_the_distance_is_fitted_on_the_rows_that_the_network_was_trained_on(network, images):
    models = {
        n: export_network(network, images, np.arange(n), weights="float32", seed=0, threads=1)
        for n in (30, 40)
    }
    constants = [
        next(t for t in model.graph.initializer if t.name == "distance/mean")
        for model in models.values()
    ]
    assert constants[0].raw_data != constants[1].raw_data


def test_float16_is_half_as_large_and_computes_in_float32(network):
    model = convert(network)
    small = store_float16(model)
    sizes = [len(m.SerializeToString()) for m in (model, small)]
    arrays = [t for t in small.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    n_values = sum(int(np.prod(t.dims)) for t in arrays)
    assert n_values == 3 * 3 * 16 * 32  # the only array of at least a thousand values
    assert sizes[0] - sizes[1] == pytest.approx(2 * n_values, abs=400)
    session = onnxruntime.InferenceSession(small.SerializeToString())
    assert {output.type for output in session.get_outputs()} == {"tensor(float)"}


def test_a_weight_too_large_for_float16_is_refused(network):
    model = convert(network)
    big = next(t for t in model.graph.initializer if np.prod(t.dims) > 1024)
    values = onnx.numpy_helper.to_array(big).copy()
    values.flat[0] = 1e5
    big.CopyFrom(onnx.numpy_helper.from_array(values, big.name))
    with pytest.raises(ValueError, match=r"reach 100000, above float16's"):
        store_float16(model)


def test_so_many_images_are_above_the_threshold_as_is_asked():
    distances = np.random.default_rng(0).permutation(np.arange(100.0))
    found = choose_threshold(distances, false_alarms=0.05)
    assert (distances > found["threshold"]).sum() == 5 - 1  # at most 5; the quantile is an image's
    assert found["n_images"] == 100
    assert choose_threshold(np.array([]), false_alarms=0.05)["threshold"] is None


def make_tables(shift=0.0, n=300):
    """Predictions of two models on the same images; `shift` spoils the second's."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(0, 1, (n, 3)) + 2 * np.eye(3)[labels]
    tables = []
    for values in (logits, logits + shift * rng.normal(0, 1, (n, 3))):
        p = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
        table = pd.DataFrame(p, columns=[f"p_{code}" for code in CODES])
        ids = [f"i{row}" for row in range(n)]
        tables.append(table.assign(image_id=ids, partition="val", label=labels))
    return tables


def compare(first, second):
    units = first[["image_id"]].assign(unit=first["image_id"])
    none = {"temperature": None}
    calibrations = {"keras": none, "exported": none}
    return compare_with_keras(first, second, calibrations, units, BootstrapConfig(200))


def test_models_that_agree_may_be_released():
    first, _ = make_tables()
    found = compare(first, first)
    assert found["may_be_released"]
    assert (found["largest_difference"], found["same_class"]) == (0, 1)
    assert found["differences"]["balanced_accuracy"] == {"difference": 0, "low": 0, "high": 0}


def test_a_model_that_may_have_lost_a_point_may_not_be_released():
    first, worse = make_tables(shift=2.0)
    found = compare(first, worse)
    lost = found["differences"]["balanced_accuracy"]
    assert lost["low"] < -MAX_LOSS
    assert lost["low"] <= lost["difference"] <= lost["high"]
    assert not found["may_be_released"]
    assert found["same_class"] < 1
