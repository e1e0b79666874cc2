import numpy as np
import pytest
from made_up import world

import lesions.bootstrap
from lesions.bootstrap import draw_weights, estimate, estimates, interval, over_resamples


def test_photographs_of_one_lesion_are_drawn_together_and_diagnoses_keep_their_lesions():
    labels = np.array([5, 5, 5, 4, 4])
    lesions = np.array(["a", "a", "b", "c", "d"])
    weights = draw_weights(labels, lesions, n_resamples=50, seed=1)
    assert weights.shape == (5, 50)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[1] + weights[2], 2)  # nv: two lesions
    np.testing.assert_array_equal(weights[3] + weights[4], 2)  # mel: two
    assert set(weights[3].tolist()) == {0, 1, 2}


def test_the_same_seed_draws_the_same_and_another_seed_draws_other_lesions():
    labels, _, lesions = world()
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


def test_a_lesion_of_two_diagnoses_is_refused_by_name():
    with pytest.raises(ValueError, match=r"must have one label.*; b has \[4, 5\]; mend"):
        draw_weights(np.array([5, 5, 4]), np.array(["a", "b", "b"]), n_resamples=2, seed=0)


def test_measuring_piece_by_piece_changes_nothing(monkeypatch):
    weights = np.arange(12).reshape(3, 4)
    whole = over_resamples(lambda some: {"sum": some.sum(axis=0)}, weights)
    shapes = []
    monkeypatch.setattr(lesions.bootstrap, "N_CELLS", 6)  # of three images, so two resamples

    def measure(some):
        shapes.append(some.shape)
        return {"sum": some.sum(axis=0)}

    pieces = over_resamples(measure, weights)
    assert shapes == [(3, 2), (3, 2)]
    assert pieces["sum"].tolist() == whole["sum"].tolist() == [12, 15, 18, 21]


def test_the_interval_lies_between_the_percentiles():
    # 0, 1, ..., 100: the 5 % and the 95 % quantile are 5 and 95.
    assert interval(np.arange(101.0), confidence=0.9) == pytest.approx((5, 95))


def test_an_interval_needs_the_number_in_95_of_100_resamples():
    values = np.full(100, 0.5)
    values[:5] = np.nan
    assert interval(values, confidence=0.95) == (0.5, 0.5)
    values[5] = np.nan
    assert interval(values, confidence=0.95) == (None, None)
    assert estimate(None, np.full(100, 0.5), confidence=0.95) == {
        "value": None, "low": None, "high": None,
    }  # fmt: skip


def test_what_drawing_makes_larger_is_moved_back_and_stays_a_share():
    # The resamples' mean is .2, the number .1: each is moved by -.1, and none falls below 0.
    values = np.linspace(0, 0.4, 101)
    moved = estimates({"calibration_error": 0.1}, {"calibration_error": values}, confidence=0.9)
    assert moved["calibration_error"] == pytest.approx({"value": 0.1, "low": 0, "high": 0.28})
    other = estimates({"accuracy": 0.1}, {"accuracy": values}, confidence=0.9)
    assert other["accuracy"] == pytest.approx({"value": 0.1, "low": 0.02, "high": 0.38})
