"""A Keras network as an ONNX graph that also gives its logits, feature map and features."""

import numpy as np
import onnx
from onnx import helper
from onnx.shape_inference import infer_shapes

from lesions.export.gradients import add_gradient_map
from lesions.networks.backend import keras, tf
from lesions.networks.layers import list_layers

OPSET = 18
N_IMAGES = "n_images"  # name of the first axis
# What turns a feature map into features, in the graphs that tf2onnx makes.
POOLING = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "Reshape", "Flatten")
# An average over all positions, and a dense layer: of these a class map is made.
AVERAGES = (("GlobalAveragePool", "MatMul"), ("ReduceMean", "MatMul"))
# What may stand between the features and the logits.
DENSE = ("Add", "Concat", "Div", "Gemm", "Identity", "MatMul", "Mul", "Relu", "Sub")


class ResizeByMatrix(keras.layers.Layer):
    """What `keras.layers.Resizing` does with antialiasing, which ONNX lacks, as matrix products.

    Resizing is linear, and the same for rows and columns.
    """

    def __init__(self, resizing: keras.layers.Resizing, pixels: int):
        super().__init__(name=resizing.name)
        columns = np.eye(pixels, dtype=np.float32).reshape(pixels, pixels, 1, 1)
        # Each image is a column of the identity matrix, as wide as it is to become.
        wide = np.repeat(columns, resizing.width, axis=2)
        self._matrix = resizing(wide, training=False).numpy()[:, :, 0, 0].T

    def call(self, images):
        """Return images `(n, pixels, pixels, channels)` in the new size."""
        new, old = self._matrix.shape
        n_channels = images.shape[-1]
        rows = tf.matmul(self._matrix, tf.reshape(images, (-1, old, old * n_channels)))
        return tf.matmul(self._matrix, tf.reshape(rows, (-1, new, old, n_channels)))


def replace_resizing(network: keras.Model) -> keras.Model:
    """Return a network whose antialiased resizing is `ResizeByMatrix`, with the same weights."""

    def clone(layer):
        if isinstance(layer, keras.layers.Resizing) and layer.antialias:
            return ResizeByMatrix(layer, layer.input.shape[1])
        return type(layer).from_config(layer.get_config())

    if not any(isinstance(layer, keras.layers.Resizing) for layer in list_layers(network)):
        return network
    replaced = keras.models.clone_model(network, clone_function=clone, recursive=True)
    replaced.set_weights(network.get_weights())
    return replaced


def convert(network: keras.Model) -> onnx.ModelProto:
    """Return a network as ONNX, in inference mode, for any number of images.

    Parameters
    ----------
    network
        From `pixels`, or from `pixels` and `metadata`, to probabilities; it ends in a dense layer
        with softmax.

    Returns
    -------
    ModelProto
        Its inputs are called as the network's. Its outputs are `logits`, before the softmax;
        `features`, what the last dense layer reads; `feature_map`, what the last pooling or
        flattening layer reads; and `class_map`, where an average over all positions leads to the
        last dense layer: that layer on each position of the feature map, without bias (class
        activation maps: Zhou et al., CVPR 2016), so that the mean of a class map over its
        positions, plus the bias, is the logit. In other networks it is Grad-CAM, see
        `lesions.export.gradients`. A feature map and a class map are there only where the network
        has a feature map before its dense layers.

    Raises
    ------
    ValueError
        If the network does not end in a softmax.
    """
    import tf2onnx  # after lesions.networks.backend, which silences TensorFlow's import

    network = replace_resizing(network)
    names = [value.name for value in network.inputs]
    signature = [
        tf.TensorSpec((None, *value.shape[1:]), tf.float32, name=value.name)
        for value in network.inputs
    ]

    def infer(*values):
        inputs = dict(zip(names, values, strict=True))
        # Not network(inputs): Keras' image layers would put all layers into training mode.
        return network(inputs if len(names) > 1 else values[0], training=False)

    function = tf.function(infer, input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    graph = model.graph
    _store_captured(graph, function.get_concrete_function())
    made_by = {output: node for node in graph.node for output in node.output}
    last = made_by[graph.output[0].name]
    if last.op_type != "Softmax":
        raise ValueError(
            f"The network {network.name} ends in {last.op_type}, and must end in a softmax, so "
            "that it has logits; end its build() in dense_layers()"
        )
    logits = last.input[0]
    features = _find_features(logits, made_by)
    outputs = {"logits": logits, "features": features}
    pooling = _find_pooling(features, made_by)
    if pooling is not None:
        shapes = [layer.output.shape[1:] for layer in list_layers(network)]
        shape = next(shape for shape in reversed(shapes) if len(shape) == 3)
        outputs["feature_map"] = _channels_last(model, pooling.input[0], shape)
        dense = _find_last_dense(logits, made_by)
        if pooling.output[0] == features and (pooling.op_type, dense.op_type) in AVERAGES:
            product = _add_class_map(graph, outputs["feature_map"], dense, shape[-1])
            outputs["class_map"] = product
        else:
            values = {"logits": logits, "feature_map": outputs["feature_map"]}
            n_classes = network.output.shape[-1]
            product = add_gradient_map(
                model, made_by, pooling=pooling, n_classes=n_classes, **values
            )
            outputs |= {"class_map": product} if product else {}
    graph.node.remove(last)
    del graph.output[:]
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = N_IMAGES
    for name, value in outputs.items():
        graph.node.append(helper.make_node("Identity", [value], [name], name=name))
        graph.output.append(helper.make_empty_tensor_value_info(name))
    _name_again(graph)
    model = infer_shapes(model)
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = N_IMAGES
    return model


def _store_captured(graph, function):
    """Store the tensors that layers hold, such as the means of a normalisation, in the graph.

    tf2onnx makes them inputs; only variables become constants.
    """
    captured = function.inputs[-len(function.captured_inputs) :], function.captured_inputs
    values = {given.name: value for given, value in zip(*captured, strict=True)}
    used = {name for node in graph.node for name in node.input}
    for given in [value for value in graph.input if value.name in values]:
        graph.input.remove(given)
        if given.name in used:
            array = values[given.name].numpy()
            graph.initializer.append(onnx.numpy_helper.from_array(array, given.name))


def _name_again(graph):
    """Name values and nodes by their order; the names of tf2onnx differ from run to run."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    new = {value.name: value.name for value in (*graph.input, *graph.output)}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        for place, name in enumerate(node.input):
            if name in tensors:
                new.setdefault(name, f"{node.name}/{place}")
            node.input[place] = new.get(name, name)  # '': an input that is left out
        for place, name in enumerate(node.output):
            node.output[place] = new.setdefault(name, f"{node.name}:{place}")
    read = {name: tensors[name] for name in new if name in tensors}  # in order of their use
    ordered = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in read.values()]
    for name, tensor in zip(read, ordered, strict=True):
        tensor.name = new[name]
    del graph.initializer[:]
    graph.initializer.extend(ordered)
    del graph.value_info[:]


def _find_last_dense(logits, made_by):
    """Return the matrix product of the dense layer that gives the logits."""
    node = made_by[logits]
    while node.op_type not in ("MatMul", "Gemm"):
        node = made_by[node.input[0]]
    return node


def _find_features(logits, made_by):
    """Return what the dense layer that gives the logits reads of the image."""
    values = _find_last_dense(logits, made_by).input[0]
    read = made_by.get(values)
    # lesions.networks.layers.add_metadata puts the image's features first.
    return read.input[0] if read is not None and read.op_type == "Concat" else values


def _find_pooling(features, made_by):
    """Return the last pooling or flattening node, None if there is none."""
    node = made_by.get(features)
    while node is not None and node.op_type in DENSE:
        node = made_by.get(node.input[0])
    return node if node is not None and node.op_type in POOLING else None


def _channels_last(model, feature_map, shape):
    """Return the feature map as Keras has it; tf2onnx may leave the channels first."""
    known = {value.name: value for value in infer_shapes(model).graph.value_info}
    found = [size.dim_value for size in known[feature_map].type.tensor_type.shape.dim[1:]]
    if tuple(found) == shape:
        return feature_map
    turned = f"{feature_map}/channels_last"
    model.graph.node.append(
        helper.make_node("Transpose", [feature_map], [turned], perm=[0, 2, 3, 1])
    )
    return turned


def _add_class_map(graph, feature_map, dense, n_channels):
    """Multiply each position of the feature map by the weights of the last dense layer."""
    tensor = next(tensor for tensor in graph.initializer if tensor.name == dense.input[1])
    weights = onnx.numpy_helper.to_array(tensor)[:n_channels]  # the rest is of the metadata
    graph.initializer.append(onnx.numpy_helper.from_array(weights, "class_map/weights"))
    product = "class_map/product"
    graph.node.append(helper.make_node("MatMul", [feature_map, "class_map/weights"], [product]))
    return product
