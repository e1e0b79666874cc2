import numpy as np
import pytest
from made_up import make_predictions, point_measures

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.intervals import measure_resamples
from lesions.evaluation.metrics import SUMMARY_MEASURES
from lesions.evaluation.paired import mcnemar, paired_differences


def compare(labels, probabilities, others, units, n_resamples, **shown):
    config = BootstrapConfig(n_resamples)
    weights = draw_weights(labels, units, n_resamples=n_resamples, seed=config.seed)
    both = (measure_resamples(labels, p, weights, config) for p in (probabilities, others))
    return paired_differences(*both, confidence=config.confidence, **shown)


def test_a_model_does_not_differ_from_itself():
    labels, probabilities, lesions = make_predictions()
    differences = compare(labels, probabilities, probabilities, lesions, 100)
    nothing = {"difference": 0, "low": 0, "high": 0, "real": False}
    assert differences == dict.fromkeys(SUMMARY_MEASURES, nothing)


def test_differences_are_of_the_first_model_minus_the_other():
    labels, probabilities, lesions = make_predictions()
    others = np.full((len(labels), 7), 1 / 7)
    differences = compare(labels, probabilities, others, lesions, 200)
    ours, _ = point_measures(labels, probabilities)
    theirs, _ = point_measures(labels, others)
    for name in SUMMARY_MEASURES:
        row = differences[name]
        assert row["difference"] == pytest.approx(ours[name] - theirs[name])
        assert 0 < row["low"] < row["difference"] < row["high"]
        assert row["real"] is True
    swapped = compare(labels, others, probabilities, lesions, 200)
    for name in SUMMARY_MEASURES:
        assert swapped[name]["high"] == pytest.approx(-differences[name]["low"])
        assert swapped[name]["real"] is True


def test_pairing_finds_a_difference_that_two_intervals_would_hide():
    # The other model makes the first one's 100 mistakes in 400 and 20 more. Apart, the intervals
    # are .75 ± .042 and .70 ± .045; that of the difference is
    # .05 ± 1.96 sqrt(.05 * .95 / 400) = .05 ± .021.
    labels, lesions = np.full(400, 5), np.arange(400)
    model, other = (np.eye(7)[[4] * n + [5] * (400 - n)] for n in (100, 120))
    row = compare(labels, model, other, lesions, 4000)["accuracy"]
    assert row["difference"] == pytest.approx(0.05)
    assert [row["low"], row["high"]] == pytest.approx([0.029, 0.071], abs=0.004)
    assert row["real"] is True


def test_a_mean_over_classes_of_few_lesions_has_no_interval():
    labels, probabilities, lesions = make_predictions()
    others = np.full((len(labels), 7), 1 / 7)
    excluded = {"without_interval": ["balanced_accuracy"]}
    found = compare(labels, probabilities, others, lesions, 100, **excluded)
    row = found["balanced_accuracy"]
    assert (row["low"], row["high"], row["real"]) == (None, None, False)
    assert row["difference"] > 0
    assert found["accuracy"]["real"] is True


def test_an_undefined_difference_is_not_real():
    labels, lesions = np.full(4, 5), np.arange(4)
    model = np.eye(7)[[5, 5, 5, 4]]
    row = compare(labels, model, model, lesions, 100)["roc_auc_macro"]
    assert row == {"difference": None, "low": None, "high": None, "real": False}


def test_mcnemar_counts_the_images_that_only_one_model_classifies_correctly():
    # Three images by the first model only, none by the other: p = 2 * (1/2)^3.
    labels = np.array([5, 5, 5, 5, 4])
    found = mcnemar(labels, np.eye(7)[[5, 5, 5, 5, 5]], np.eye(7)[[4, 4, 4, 5, 5]])
    assert found == {"only_model_right": 3, "only_other_right": 0, "p": pytest.approx(1 / 4)}


def test_mcnemar_finds_no_difference_between_equal_predictions():
    labels, probabilities, _ = make_predictions()
    found = mcnemar(labels, probabilities, probabilities)
    assert found == {"only_model_right": 0, "only_other_right": 0, "p": 1}
