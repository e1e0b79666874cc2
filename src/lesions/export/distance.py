"""How far the features of a photograph are from those of the training photographs.

The features, scaled to length 1, are modelled by one Gaussian: probabilistic principal component
analysis (Tipping, Bishop, J R Stat Soc B 61:611-622, 1999), with a variance for each component and
one for all other directions. The squared Mahalanobis distance is large for photographs that are
unlike all of the training photographs (Lee et al., NeurIPS 2018, with one class; scaling to length
1: Mueller, Hein, "Mahalanobis++", 2025).
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.shape_inference import infer_shapes
from sklearn.decomposition import PCA

MAX_COMPONENTS = 128
SMALLEST_VARIANCE = 1e-12  # of features of length 1; less is rounding
SMALLEST_LENGTH = 1e-9  # replaces the length of features that are all zero


def scale_to_length_one(features: np.ndarray) -> np.ndarray:
    """Return features `(n_images, n_features)`, each divided by its Euclidean length."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, SMALLEST_LENGTH)


def fit_gaussian(features: np.ndarray) -> PCA:
    """Fit the Gaussian on features of training photographs `(n_images, n_features)`.

    Raises
    ------
    ValueError
        If the features vary in fewer than two directions.
    """
    scaled = scale_to_length_one(features.astype(np.float64))
    variances = np.linalg.eigvalsh(np.atleast_2d(np.cov(scaled, rowvar=False)))
    rank = int((variances >= SMALLEST_VARIANCE).sum())
    if rank < 2:
        raise ValueError(
            f"The network's {features.shape[1]} features vary in {rank} directions over "
            f"{len(features)} training photographs, and a distance from them needs 2; train it "
            "longer, or leave it out of exports"
        )
    # At least one direction is left for the noise.
    n_components = min(MAX_COMPONENTS, rank - 1)
    return PCA(n_components, svd_solver="covariance_eigh").fit(scaled)


def add_distance(model: onnx.ModelProto, gaussian: PCA) -> onnx.ModelProto:
    """Return a model whose output `features` is replaced by `distance`.

    `distance`, float32 `(n_images,)`, is the squared Mahalanobis distance divided by the number of
    features, so that its mean over the training photographs is about 1.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    n_features = len(gaussian.mean_)
    # Squared lengths within the components and of the rest, each in its own unit.
    constants = {
        "mean": gaussian.mean_,
        "components": gaussian.components_.T,
        "precision": (1 / gaussian.explained_variance_ / n_features)[:, None],
        "noise": np.array(1 / gaussian.noise_variance_ / n_features),
        "smallest": np.array(SMALLEST_LENGTH),
    }
    for name, values in constants.items():
        array = np.asarray(values, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"distance/{name}"))
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "distance/axis"))

    def add(operation, name, *inputs, **attributes):
        inputs = [f"distance/{value}" if value != "features" else value for value in inputs]
        output = f"distance/{name}" if name != "distance" else name
        node = helper.make_node(operation, inputs, [output], name=output, **attributes)
        graph.node.append(node)

    add("ReduceL2", "length", "features", "axis", keepdims=1)
    add("Max", "divisor", "length", "smallest")
    add("Div", "scaled", "features", "divisor")
    add("Sub", "centred", "scaled", "mean")
    add("MatMul", "projected", "centred", "components")
    add("Mul", "squared", "projected", "projected")
    add("MatMul", "of_components", "squared", "precision")
    add("Transpose", "rows", "components")
    add("MatMul", "reconstructed", "projected", "rows")
    add("Sub", "rest", "centred", "reconstructed")
    add("ReduceSumSquare", "length_of_rest", "rest", "axis", keepdims=1)
    add("Mul", "of_rest", "length_of_rest", "noise")
    add("Add", "sum", "of_components", "of_rest")
    add("Squeeze", "distance", "sum", "axis")
    graph.output.remove(next(value for value in graph.output if value.name == "features"))
    shape = [graph.output[0].type.tensor_type.shape.dim[0].dim_param]
    graph.output.append(helper.make_tensor_value_info("distance", onnx.TensorProto.FLOAT, shape))
    return infer_shapes(model)
