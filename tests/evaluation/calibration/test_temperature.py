import numpy as np
import pytest
from made_up import draw_labels
from sklearn.metrics import log_loss

from lesions.evaluation.calibration.temperature import fit_temperature, log_losses
from lesions.probabilities import apply_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    # Labels are drawn from softmax(z); a model that predicts softmax(T z) needs division by T.
    labels, probabilities = draw_labels(20_000, sharpness=temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_on_a_fine_grid_is_better():
    labels, probabilities = draw_labels(300, sharpness=1.7)
    best = log_losses(
        labels, apply_temperature(probabilities, fit_temperature(labels, probabilities))
    )
    for temperature in np.linspace(0.1, 10, 500):
        other = log_losses(labels, apply_temperature(probabilities, temperature))
        assert best.mean() <= other.mean() + 1e-9


def test_a_temperature_of_two_takes_the_square_root():
    # sqrt(0.64, 0.16, 0.04 × 5) = 0.8, 0.4, 0.2 × 5: divided by their sum, 2.2.
    tempered = apply_temperature(np.array([[0.64, 0.16, 0.04, 0.04, 0.04, 0.04, 0.04]]), 2)
    assert tempered[0] == pytest.approx(np.array([0.8, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2]) / 2.2)


def test_zeros_are_allowed_and_rows_sum_to_one():
    certain = np.eye(7)
    for temperature in (0.1, 1, 10):
        tempered = apply_temperature(certain, temperature)
        assert tempered.sum(axis=1) == pytest.approx(np.ones(7))
        assert (tempered >= 0).all()
    # In a row of one 1 and zeros, ln 1e-7 is divided by 10: 10^-0.7 beside 1.
    assert tempered[0, 1] == pytest.approx(10**-0.7 / (1 + 6 * 10**-0.7))


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.3, 10])
def test_the_most_probable_diagnosis_stays_the_same(temperature):
    _, probabilities = draw_labels(2000, sharpness=4)
    written = np.round(probabilities, 6)
    written[:3] = [0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05]  # ties too
    tempered = apply_temperature(written, temperature)
    assert (tempered.argmax(axis=1) == written.argmax(axis=1)).all()


def test_the_mean_log_loss_equals_that_of_scikit_learn():
    labels, probabilities = draw_labels(200)
    expected = log_loss(labels, probabilities, labels=range(7))
    assert log_losses(labels, probabilities).mean() == pytest.approx(expected)


def test_bad_probabilities_are_refused():
    labels, probabilities = draw_labels(20)
    with pytest.raises(ValueError, match="sum of probabilities is not 1"):
        fit_temperature(labels, probabilities / 2)
    with pytest.raises(ValueError, match="Labels have the shape"):
        fit_temperature(labels[1:], probabilities)
