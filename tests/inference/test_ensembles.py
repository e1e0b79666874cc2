import numpy as np
import pytest
from scipy.optimize import minimize

from lesions.inference.ensembles import average, fit_weights


def predict(labels, rng, *, skill):
    """Return probabilities that favour the label, the more the larger the skill."""
    logits = rng.normal(size=(len(labels), 4)) + skill * np.eye(4)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def models():
    """Labels, and the probabilities of a good, a fair and a useless model."""
    rng = np.random.default_rng(3)
    labels = rng.integers(4, size=600)
    return labels, [predict(labels, rng, skill=skill) for skill in (2.0, 1.5, 0.0)]


def cross_entropy(labels, probabilities):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def test_the_mean_is_weighted_and_sums_to_1():
    first, second = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])
    np.testing.assert_allclose(average([first, second], [0.5, 0.5]), [[0.4, 0.6]])
    np.testing.assert_allclose(average([first, second], [0.75, 0.25]), [[0.3, 0.7]])


def test_weights_are_those_that_a_general_optimizer_finds(models):
    labels, probabilities = models

    def loss(logits):
        weights = np.exp(logits) / np.exp(logits).sum()
        return cross_entropy(labels, average(probabilities, weights))

    found = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9})
    expected = np.exp(found.x) / np.exp(found.x).sum()
    weights = fit_weights(labels, probabilities)
    np.testing.assert_allclose(weights, expected, atol=1e-3)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1] > weights[2] >= 0


def test_the_weighted_mean_is_better_than_the_equal_one_and_than_each_model(models):
    labels, probabilities = models
    best = cross_entropy(labels, average(probabilities, fit_weights(labels, probabilities)))
    others = [average(probabilities, np.full(3, 1 / 3)), *probabilities]
    assert best < min(cross_entropy(labels, other) for other in others)


def test_equal_models_get_equal_weights(models):
    labels, probabilities = models
    np.testing.assert_allclose(fit_weights(labels, probabilities[:1] * 2), [0.5, 0.5])


def test_weights_need_images(models):
    labels, probabilities = models
    with pytest.raises(
        ValueError, match=r"weights: validation needs validation images, and the st"
    ):
        fit_weights(labels[:0], [p[:0] for p in probabilities])


def test_an_image_that_every_model_excludes_does_not_count(models):
    labels, probabilities = models
    wrong = np.eye(4)[(labels[:1] + 1) % 4]
    more = [np.vstack([p, wrong]) for p in probabilities]
    found = fit_weights(np.append(labels, labels[0]), more)
    np.testing.assert_array_equal(found, fit_weights(labels, probabilities))
    np.testing.assert_array_equal(fit_weights(labels[:1], [wrong, wrong]), [0.5, 0.5])
