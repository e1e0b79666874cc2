import numpy as np
import pytest
from made_up import make_predictions

from lesions.evaluation import bootstrap
from lesions.evaluation.bootstrap import draw_weights, estimate, estimate_all, evaluate_resamples


def test_images_of_one_lesion_are_drawn_together_and_diagnoses_keep_their_lesions():
    labels = np.array([5, 5, 5, 4, 4])
    lesions = np.array(["a", "a", "b", "c", "d"])
    weights = draw_weights(labels, lesions, n_resamples=50, seed=1)
    assert weights.shape == (5, 50)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[1] + weights[2], 2)  # nv: two lesions
    np.testing.assert_array_equal(weights[3] + weights[4], 2)  # mel: two
    assert set(weights[3].tolist()) == {0, 1, 2}


def test_the_same_seed_draws_the_same_and_another_seed_draws_other_lesions():
    labels, _, lesions = make_predictions()
    first, again, other = (
        draw_weights(labels, lesions, n_resamples=20, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_each_lesion_is_drawn_once_on_average():
    # 100 lesions, 4,000 resamples: the count's variance is .99, so the mean's deviation is .016.
    lesions = np.arange(100)
    weights = draw_weights(np.full(100, 5), lesions, n_resamples=4000, seed=0)
    assert weights.mean(axis=1) == pytest.approx(1, abs=5 * 0.016)
    assert weights.var() == pytest.approx(0.99, abs=0.02)


def test_a_patient_with_two_diagnoses_is_resampled_with_the_rarest():
    # Images of 4 are rarer than those of 5; patient b has both, so that 4 has the patients b and c,
    # 5 has a and d: two of each are drawn in every resample, and b brings both of its images.
    labels = np.array([5, 5, 4, 4, 5])
    patients = np.array(["a", "b", "b", "c", "d"])
    weights = draw_weights(labels, patients, n_resamples=200, seed=0).astype(int)
    assert (weights[1] == weights[2]).all()
    assert (weights[2] + weights[3] == 2).all()
    assert (weights[0] + weights[4] == 2).all()


def test_the_point_estimate_comes_first_and_chunks_change_nothing(monkeypatch):
    weights = np.arange(12).reshape(3, 4)
    at_once = evaluate_resamples(lambda chunk: {"sum": chunk.sum(axis=0)}, weights)
    shapes = []
    monkeypatch.setattr(bootstrap, "CHUNK_CELLS", 6)  # two resamples of three images

    def measure(chunk):
        shapes.append(chunk.shape)
        return {"sum": chunk.sum(axis=0)}

    chunked = evaluate_resamples(measure, weights)
    assert shapes == [(3, 1), (3, 2), (3, 2)]
    assert chunked["sum"].tolist() == at_once["sum"].tolist() == [3, 12, 15, 18, 21]


def test_the_interval_is_between_the_percentiles():
    # 0, 1, ..., 100: the 5 % and the 95 % quantile are 5 and 95.
    values = np.append(40, np.arange(101.0))
    assert estimate(values, confidence=0.9) == pytest.approx({"value": 40, "low": 5, "high": 95})


def test_an_interval_needs_a_measure_that_is_defined_in_95_percent_of_the_resamples():
    values = np.full(101, 0.5)
    values[1:6] = np.nan
    assert estimate(values, confidence=0.95) == {"value": 0.5, "low": 0.5, "high": 0.5}
    values[6] = np.nan
    assert estimate(values, confidence=0.95) == {"value": 0.5, "low": None, "high": None}
    undefined = np.append(np.nan, np.full(100, 0.5))
    assert estimate(undefined, confidence=0.95) == {"value": None, "low": None, "high": None}


def test_measures_biased_by_resampling_are_re_centred_and_stay_shares():
    # The mean of the resamples is .2, the point estimate .1: each is shifted by -.1, at least to 0.
    values = np.append(0.1, np.linspace(0, 0.4, 101))
    found = estimate_all({"calibration_error": values, "accuracy": values}, confidence=0.9)
    assert found["calibration_error"] == pytest.approx({"value": 0.1, "low": 0, "high": 0.28})
    assert found["accuracy"] == pytest.approx({"value": 0.1, "low": 0.02, "high": 0.38})
