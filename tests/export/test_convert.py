import numpy as np
import onnxruntime
import pytest

from lesions.export.convert import convert, replace_resizing
from lesions.networks.backend import keras, tf
from lesions.networks.cnn import build as build_cnn
from lesions.networks.layers import add_metadata, dense_layers, join, pixel_input, standardize


def run(model, **inputs):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def pixels(n=5, size=12):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3)).astype(np.float32)


def make_network(*, pooling="average", dense_units=(), layers=()):
    """A convolution after other layers, pooling and dense layers; weights by a seed."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 12, 3), name="pixels")
    values = keras.layers.Rescaling(1 / 255)(inputs)
    for layer in layers:
        values = layer(values)
    values = keras.layers.Conv2D(4, 3)(values)
    values = keras.layers.BatchNormalization()(values)
    pool = {
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }[pooling]
    outputs = dense_layers(pool()(values), 3, dense_units=dense_units, dropout=0.5)
    network = keras.Model(inputs, outputs)
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0.5, 0.1, w.shape) for w in network.get_weights()])
    return network


@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
@pytest.mark.parametrize("dense_units", [(), (6, 5)])
@pytest.mark.parametrize("n_images", [1, 5])
def test_logits_are_those_of_keras_for_any_number_of_images(pooling, dense_units, n_images):
    network = make_network(pooling=pooling, dense_units=dense_units)
    found = run(convert(network), pixels=pixels(n_images))
    expected = network.predict_on_batch(pixels(n_images))
    # Weights are not small, so that logits reach hundreds.
    np.testing.assert_allclose(softmax(found["logits"]), expected, atol=1e-4)
    assert found["logits"].shape == (n_images, 3)


@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
def test_the_feature_map_is_what_pooling_reads_with_channels_last(pooling):
    network = make_network(pooling=pooling, dense_units=(6,))
    layer = next(
        layer for layer in network.layers if "pooling" in layer.name or "flatten" in layer.name
    )
    inner = keras.Model(network.input, [layer.input, network.layers[-1].input])
    feature_map, features = inner.predict_on_batch(pixels())
    found = run(convert(network), pixels=pixels())
    np.testing.assert_allclose(found["feature_map"], feature_map, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["features"], features, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_metadata", [0, 2])
def test_the_mean_of_a_class_map_and_the_bias_are_the_logits(n_metadata):
    network = add_metadata(make_network(), n_metadata)
    nothing = {"metadata": np.zeros((5, 2), np.float32)} if n_metadata else {}
    found = run(convert(network), pixels=pixels(), **nothing)
    kernel, bias = network.layers[-1].get_weights()
    expected = found["class_map"].mean(axis=(1, 2)) + bias
    if n_metadata:  # zeros still have a bias and a ReLU of their own before the last layer
        units = next(layer for layer in network.layers if layer.name == "metadata_units")
        expected += np.maximum(units.get_weights()[1], 0) @ kernel[4:]
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4, atol=1e-4)
    assert found["class_map"].shape == (5, 10, 10, 3)


def grad_cam(network, inputs):
    """Grad-CAM by TensorFlow, with the sum over all positions for the mean, and with its sign."""
    pool = next(
        layer for layer in network.layers if "pooling" in layer.name or "flatten" in layer.name
    )
    inner = keras.Model(network.input, [pool.input, network.layers[-1].input])
    kernel, bias = network.layers[-1].get_weights()
    found = []
    for label in range(3):
        with tf.GradientTape() as tape:
            feature_map, values = inner(inputs, training=False)
            logit = (values @ kernel + bias)[:, label]
        weights = tf.reduce_sum(tape.gradient(logit, feature_map), axis=(1, 2), keepdims=True)
        found.append(tf.reduce_sum(weights * feature_map, axis=3))
    return np.stack(found, axis=3)


def draw_weights(network):
    """Give a network weights of both signs, so that half of all ReLUs are 0."""
    rng = np.random.default_rng(5)
    for weight in network.weights:
        values = rng.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)


@pytest.mark.parametrize("n_metadata", [0, 2])
@pytest.mark.parametrize("dense_units", [(), (6, 5)])
@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
def test_the_class_map_is_grad_cam(pooling, dense_units, n_metadata):
    network = add_metadata(make_network(pooling=pooling, dense_units=dense_units), n_metadata)
    draw_weights(network)
    inputs = {"pixels": pixels()}
    if n_metadata:
        inputs["metadata"] = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32)
    expected = grad_cam(network, inputs if n_metadata else pixels())
    found = run(convert(network), **inputs)
    np.testing.assert_allclose(found["class_map"], expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1
    if dense_units:  # the control: some ReLUs are 0, and some are not
        first = next(n for n, layer in enumerate(network.layers) if layer.name.startswith("dense"))
        units = keras.Model(network.input, network.layers[first].output)(
            inputs if n_metadata else pixels()
        )
        assert 0 < (np.asarray(units) > 0).mean() < 1


@pytest.mark.parametrize("n_metadata", [0, 2])
def test_grad_cam_is_the_class_activation_map_where_there_is_one(monkeypatch, n_metadata):
    network = add_metadata(make_network(), n_metadata)
    draw_weights(network)
    inputs = {"pixels": pixels()}
    inputs |= {"metadata": np.ones((5, 2), np.float32)} if n_metadata else {}
    expected = run(convert(network), **inputs)["class_map"]
    monkeypatch.setattr("lesions.export.convert.AVERAGES", ())
    found = run(convert(network), **inputs)["class_map"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_head_on_flattened_features_has_its_standardisation_in_the_class_map():
    """The gradient passes a division by the standard deviation."""
    backbone = make_network(pooling="flatten")
    backbone = keras.Model(backbone.input, backbone.layers[-3].output)
    features = backbone.predict_on_batch(pixels(20))
    inputs = keras.Input(features.shape[1:])
    values = standardize(inputs, features)
    head = keras.Model(inputs, dense_layers(values, 3, dense_units=[], dropout=0))
    found = run(convert(join(backbone, head)), pixels=pixels())
    kernel = head.layers[-1].get_weights()[0] / features.std(axis=0)[:, None]
    weights = kernel.reshape(10 * 10, 4, 3).sum(axis=0)
    np.testing.assert_allclose(found["class_map"], found["feature_map"] @ weights, rtol=1e-3)


def test_a_step_without_a_known_derivative_gives_no_class_map():
    network = make_network(pooling="flatten")
    features = network.layers[-3].output  # each value times itself, before the dense layer
    squared = keras.layers.Multiply()([features, features])
    outputs = keras.layers.Dense(3, activation="softmax")(squared)
    model = convert(keras.Model(network.input, outputs))
    names = [output.name for output in model.graph.output]
    assert names == ["logits", "features", "feature_map"]


def test_layers_that_differ_in_training_are_exported_for_inference():
    """Image layers put a network into training mode unless told otherwise; see `convert`."""
    layers = [keras.layers.RandomFlip(seed=1), keras.layers.CenterCrop(8, 8)]
    network = make_network(layers=layers)
    found = run(convert(network), pixels=pixels())
    np.testing.assert_allclose(
        softmax(found["logits"]), network.predict_on_batch(pixels()), atol=1e-6
    )
    # The control: in training mode this network says something else.
    trained = np.asarray(network(pixels(), training=True))
    assert np.abs(trained - network.predict_on_batch(pixels())).max() > 1e-3


def test_antialiased_resizing_is_that_of_keras():
    inputs, values = pixel_input(12, 7)
    network = keras.Model(inputs, values)
    expected = network.predict_on_batch(pixels())
    found = replace_resizing(network).predict_on_batch(pixels())
    np.testing.assert_allclose(found, expected, atol=1e-3)  # of pixels 0–255


def test_a_network_that_reads_smaller_images_is_exported():
    settings = {"filters": [4, 4], "dense_units": [5], "dropout": 0.1, "batch_norm_momentum": 0.9}
    network = build_cnn(pixels(), 3, input_pixels=6, **settings)
    found = run(convert(network), pixels=pixels())
    np.testing.assert_allclose(
        softmax(found["logits"]), network.predict_on_batch(pixels()), atol=1e-6
    )


def test_a_head_on_a_backbone_is_exported_with_its_standardisation():
    """The means of a normalisation are tensors that tf2onnx would make inputs."""
    backbone = make_network()
    backbone = keras.Model(backbone.input, backbone.layers[-3].output)
    features = backbone.predict_on_batch(pixels(20))
    inputs = keras.Input(features.shape[1:])
    head = keras.Model(
        inputs, dense_layers(standardize(inputs, features), 3, dense_units=[4], dropout=0)
    )
    network = join(backbone, head)
    model = convert(network)
    assert [value.name for value in model.graph.input] == ["pixels"]
    expected = network.predict_on_batch(pixels())
    np.testing.assert_allclose(softmax(run(model, pixels=pixels())["logits"]), expected, atol=1e-6)


def test_features_of_a_network_with_metadata_are_those_of_the_image():
    network = add_metadata(make_network(), 2)
    metadata = np.float32([[0, 1]] * 5)
    model = convert(network)
    found = run(model, pixels=pixels(), metadata=metadata)
    expected = network.predict_on_batch({"pixels": pixels(), "metadata": metadata})
    np.testing.assert_allclose(softmax(found["logits"]), expected, atol=1e-6)
    assert found["features"].shape == (5, 4)
    assert found["feature_map"].shape == (5, 10, 10, 4)


def test_a_network_without_a_softmax_is_refused():
    inputs = keras.Input((4, 4, 3), name="pixels")
    outputs = keras.layers.Dense(3, activation="sigmoid")(keras.layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="must end in a softmax"):
        convert(keras.Model(inputs, outputs))
