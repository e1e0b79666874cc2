import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.estimates import SCORES, Bootstrap

CONFIG = BootstrapConfig(n_resamples=500)


def test_the_mean_is_over_the_images_that_have_a_value():
    labels, units = np.repeat([0, 1], 20), np.arange(40)
    values = np.where(np.arange(40) % 2, 3.0, 1.0)
    found = Bootstrap(labels, units, CONFIG).mean(values)
    assert found["value"] == 2
    assert 1.4 < found["low"] < 2 < found["high"] < 2.6
    values[::2] = np.nan
    assert Bootstrap(labels, units, CONFIG).mean(values) == {"value": 3, "low": 3, "high": 3}


def test_images_of_one_group_are_resampled_together():
    labels, values = np.zeros(40, int), np.repeat([1.0, 3.0], 20)
    many, few = (
        Bootstrap(labels, units, CONFIG).mean(values) for units in (np.arange(40), labels * 0)
    )
    assert many["low"] < 2 < many["high"]
    assert few == {"value": 2, "low": 2, "high": 2}  # one group: every resample is the same


def test_without_any_value_there_is_no_estimate():
    found = Bootstrap(np.repeat([0, 1], 5), np.arange(10), CONFIG).mean(np.full(10, np.nan))
    assert found == {"value": None, "low": None, "high": None}


def test_scores_have_no_interval_if_a_class_has_two_groups():
    labels = np.repeat([0, 1, 2], [10, 10, 2])
    probabilities = np.eye(3)[labels] * 0.8 + 0.2 / 3
    found = Bootstrap(labels, np.arange(22), CONFIG).scores(probabilities)
    assert {name: found[name]["value"] for name in SCORES} == dict.fromkeys(SCORES, 1.0)
    assert found["accuracy"]["low"] == 1
    assert found["roc_auc_macro"]["low"] is None
