import numpy as np
import pytest
from scipy.special import softmax
from sklearn.utils.class_weight import compute_class_weight

from lesions.networks.backend import keras, tf
from lesions.training.losses import cross_entropy, make_loss, weigh_classes

COUNTS = np.array([50, 30, 20])
LABELS = np.array([0, 2, 1, 0])
TARGETS = np.eye(3, dtype=np.float32)[LABELS]
PROBABILITIES = softmax(np.random.default_rng(0).normal(size=(4, 3)), axis=1).astype(np.float32)
OF_LABEL = PROBABILITIES[np.arange(4), LABELS]


def compute(loss="cross_entropy", targets=TARGETS, probabilities=PROBABILITIES, **changes):
    settings = {
        "label_smoothing": 0.0,
        "class_weights": "none",
        "focal_gamma": 2.0,
        "class_balanced_beta": 0.9,
        "logit_adjustment": 1.0,
    }
    return make_loss(loss, COUNTS, **settings | changes)(targets, probabilities)


def test_cross_entropy_is_that_of_keras():
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, PROBABILITIES)
    np.testing.assert_allclose(compute(), expected, rtol=1e-5)
    np.testing.assert_allclose(cross_entropy(LABELS, PROBABILITIES), expected, rtol=1e-5)


def test_label_smoothing_is_that_of_keras():
    expected = keras.losses.categorical_crossentropy(TARGETS, PROBABILITIES, label_smoothing=0.1)
    np.testing.assert_allclose(compute(label_smoothing=0.1), expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2, 2.5])
@pytest.mark.parametrize("certain", [1, 1 - 2**-23])
def test_the_focal_loss_of_a_certain_prediction_is_finite_and_so_is_its_gradient(gamma, certain):
    probabilities = tf.constant([[1 - certain, certain, 0]], tf.float32)
    targets = tf.constant([[0, 1, 0]], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(probabilities)
        loss = compute("focal", targets, probabilities, focal_gamma=gamma)
    assert loss.numpy() == pytest.approx(0, abs=1e-5)
    assert np.isfinite(tape.gradient(loss, probabilities)).all()


def test_the_focal_loss_is_that_of_keras():
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=3, reduction=None)
    np.testing.assert_allclose(
        compute("focal", focal_gamma=3), focal(TARGETS, PROBABILITIES), rtol=1e-4
    )


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat(range(3), COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weigh_classes(COUNTS, "balanced"), expected)
    expected = -np.log(OF_LABEL) * expected[LABELS]
    np.testing.assert_allclose(compute(class_weights="balanced"), expected, rtol=1e-5)


def test_weights_by_square_root_are_in_proportion_and_have_a_mean_of_one_over_all_rows():
    weights = weigh_classes(np.array([100, 25]), "sqrt")
    assert weights[1] / weights[0] == pytest.approx(2)  # sqrt(100 / 25)
    assert np.average(weights, weights=[100, 25]) == pytest.approx(1)
    assert weigh_classes(COUNTS, "none").tolist() == [1, 1, 1]


def test_class_balanced_weights_follow_the_effective_number_of_images():
    # Effective numbers (1 - 0.9^n) / (1 - 0.9): 9.948, 9.576, 8.784 for 50, 30 and 20 images.
    weights = 1 / np.array([9.948462, 9.576088, 8.784233])
    weights *= 100 / (weights * COUNTS).sum()
    np.testing.assert_allclose(
        compute("class_balanced"), -np.log(OF_LABEL) * weights[LABELS], rtol=1e-5
    )


def test_logit_adjustment_adds_the_logarithm_of_the_shares_to_the_logits():
    logits = np.log(PROBABILITIES) + 0.5 * np.log([0.5, 0.3, 0.2])
    expected = -np.log(softmax(logits, axis=1)[np.arange(4), LABELS])
    found = compute("logit_adjusted", logit_adjustment=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("probability", "is_finite"), [(0, True), (np.nan, False)])
def test_a_probability_of_zero_costs_a_finite_loss_and_one_that_is_nan_does_not(
    probability, is_finite
):
    probabilities = np.float32([[probability, 0.5, 0.5]])
    assert np.isfinite(compute(targets=TARGETS[:1], probabilities=probabilities)[0]) == is_finite
