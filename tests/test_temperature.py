import numpy as np
import pytest
from made_up import draw
from sklearn.metrics import log_loss

from lesions.temperature import apply_temperature, fit_temperature, log_losses


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature):
    # The labels follow softmax(z); a model that says softmax(T z) is mended by dividing by T.
    labels, probabilities = draw(20_000, sharpness=temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_on_a_fine_grid_is_better():
    labels, probabilities = draw(300, sharpness=1.7)
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


def test_exact_zeros_are_harmless_and_rows_sum_to_one():
    certain = np.eye(7)
    for temperature in (0.1, 1, 10):
        tempered = apply_temperature(certain, temperature)
        assert tempered.sum(axis=1) == pytest.approx(np.ones(7))
        assert (tempered >= 0).all()
    # Of a certain row, ln 1e-7 is divided by 10: 10^-0.7 beside 1.
    assert tempered[0, 1] == pytest.approx(10**-0.7 / (1 + 6 * 10**-0.7))


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.3, 10])
def test_the_most_probable_diagnosis_stays_the_same(temperature):
    _, probabilities = draw(2000, sharpness=4)
    written = np.round(probabilities, 6)
    written[:3] = [0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05]  # ties too
    tempered = apply_temperature(written, temperature)
    assert (tempered.argmax(axis=1) == written.argmax(axis=1)).all()


def test_the_mean_log_loss_equals_scikit_learns():
    labels, probabilities = draw(200)
    expected = log_loss(labels, probabilities, labels=range(7))
    assert log_losses(labels, probabilities).mean() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_must_be_a_number_above_zero(temperature):
    with pytest.raises(ValueError, match="finite number above 0; found"):
        apply_temperature(np.full((1, 7), 1 / 7), temperature)


def test_bad_probabilities_are_refused():
    labels, probabilities = draw(20)
    with pytest.raises(ValueError, match="must sum to 1"):
        fit_temperature(labels, probabilities / 2)
    with pytest.raises(ValueError, match="Labels must be"):
        fit_temperature(labels[1:], probabilities)
