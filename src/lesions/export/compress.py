"""Smaller ONNX files: weights of 16 bits, or whole numbers of 8 bits."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

MIN_VALUES = 1024  # smaller arrays stay as they are
EXACT = "distance/"  # so does what the distance multiplies by the inverse of a small variance
LARGEST = float(np.finfo(np.float16).max)


def store_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose large arrays are stored as float16.

    They become float32 when it is loaded, and so is everything that is computed: the file is half
    as large, and the outputs differ by the rounding of the weights alone.

    Raises
    ------
    ValueError
        If a weight is too large for float16.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < MIN_VALUES or tensor.name.startswith(EXACT):
            continue
        if np.abs(values).max() > LARGEST:
            raise ValueError(
                f"The weights {tensor.name} reach {np.abs(values).max():g}, above float16's "
                f"largest, {LARGEST:g}; set the model's entry in exports to weights: float32"
            )
        name = tensor.name
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}/float16")
        tensor.CopyFrom(stored)
        cast = helper.make_node("Cast", [stored.name], [name], name, to=onnx.TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


class _Batches(CalibrationDataReader):
    """Images, and metadata that are all unknown, a batch at a time."""

    def __init__(self, model, images, batch_size=32):
        unknown = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in model.graph.input
            if value.name == "metadata"
        }
        starts = range(0, len(images), batch_size)
        batches = (np.asarray(images[s : s + batch_size], np.float32) for s in starts)
        self._batches = (
            {"pixels": batch}
            | {name: np.zeros((len(batch), n), np.float32) for name, n in unknown.items()}
            for batch in batches
        )

    def get_next(self):
        return next(self._batches, None)


def quantize_int8(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """Return a model whose convolutions and matrix products are computed with 8 bits.

    Weights have a scale for each channel, activations one range, that which they have on `images`
    (uint8 RGB `(n_images, pixels, pixels, 3)`, training images).
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        prepared = Path(folder) / "prepared.onnx"
        onnx.save(model, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _Batches(model, images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(quantized)
