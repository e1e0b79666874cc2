import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from lesions.export.distance import add_distance, fit_gaussian, scale_to_length_one


def pass_on(n_features):
    """A model whose output `features` is its input, and `logits` as well."""
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", n_features])
    names = ("logits", "features")
    nodes = [helper.make_node("Identity", ["given"], [name]) for name in names]
    outputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", n_features]) for n in names
    ]
    graph = helper.make_graph(nodes, "pass_on", [given], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def measure(features, gaussian):
    model = add_distance(pass_on(features.shape[1]), gaussian)
    assert [output.name for output in model.graph.output] == ["logits", "distance"]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["distance"], {"given": features.astype(np.float32)})[0]


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return np.abs(rng.normal(0, 1, (400, 12)) @ rng.normal(0, 1, (12, 12)))


def test_the_distance_is_mahalanobis_by_the_covariance_of_the_model(features):
    gaussian = fit_gaussian(features)
    centred = scale_to_length_one(features) - gaussian.mean_
    # scikit-learn's own inverse of the covariance W W^T + noise I.
    expected = np.einsum("ij,jk,ik->i", centred, gaussian.get_precision(), centred) / 12
    np.testing.assert_allclose(measure(features, gaussian), expected, rtol=1e-3)


def test_its_mean_over_the_photographs_that_fitted_it_is_1(features):
    assert measure(features, fit_gaussian(features)).mean() == pytest.approx(1, abs=0.01)


def test_the_length_of_features_does_not_count(features):
    gaussian = fit_gaussian(features)
    np.testing.assert_allclose(
        measure(3 * features, gaussian), measure(features, gaussian), rtol=1e-4
    )


def test_what_is_unlike_all_of_them_is_farther(features):
    gaussian = fit_gaussian(features)
    unlike = np.eye(12)
    assert measure(unlike, gaussian).min() > np.quantile(measure(features, gaussian), 0.98)


def test_features_that_are_all_zero_have_a_distance(features):
    assert np.isfinite(measure(np.zeros((2, 12)), fit_gaussian(features))).all()


def test_features_that_are_always_zero_are_coped_with(features):
    """A ReLU may be dead in all training photographs; a photograph that wakes it is far away."""
    dead = np.pad(features, [(0, 0), (0, 3)])
    gaussian = fit_gaussian(dead)
    awake = dead.copy()
    awake[:, -1] = dead[:, 0]
    assert np.median(measure(awake, gaussian)) > 3 * np.median(measure(dead, gaussian))


@pytest.mark.parametrize(
    "features",
    [np.ones((9, 9)), np.eye(9)[[0] * 5 + [1] * 4], np.array([[1.0], [-1], [2], [0]])],
)
def test_features_that_hardly_vary_are_refused(features):
    with pytest.raises(ValueError, match=r"[91] features vary in [01] directions over [94]"):
        fit_gaussian(features)
