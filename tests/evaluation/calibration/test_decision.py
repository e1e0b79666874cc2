import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.decision import (
    EXPONENTS,
    PLAIN,
    choose_exponent,
    fit_decision,
    score_decision,
)
from lesions.probabilities import decide

CODES = ("mel", "nv")
PRIORS = np.array([0.2, 0.8])
UNCALIBRATED = {"temperature": None}


def images(*rows):
    """Labels and probabilities of (label, probability of mel)."""
    labels, p = np.array([label for label, _ in rows]), np.array([share for _, share in rows])
    return labels, np.column_stack([p, 1 - p])


def test_the_grid_is_from_0_to_one_and_a_half_in_steps_of_a_twentieth():
    assert EXPONENTS[0] == 0
    assert EXPONENTS[-1] == 1.5
    assert np.diff(EXPONENTS) == pytest.approx([0.05] * 30)


def test_a_rare_class_needs_less_probability():
    # .3 / .2 = 1.5 > .7 / .8 = .875, but .1 / .2 = .5 < .9 / .8.
    _, probabilities = images((0, 0.3), (1, 0.1))
    assert decide(probabilities, PRIORS, exponent=1).tolist() == [0, 1]
    assert decide(probabilities, PRIORS, exponent=0).tolist() == [1, 1]


def test_the_smallest_of_the_best_exponents_is_chosen():
    # The melanoma is found where .3 / .2^e > .7 / .8^e, so 4^e > 7/3: e > log(7/3) / log 4 = .611;
    # the naevus stays one where 4^e < 9: e < 1.585. So all of .65 to 1.5 have 1, the others .5.
    exponent, scores = choose_exponent(*images((0, 0.3), (1, 0.1)), PRIORS)
    assert exponent == 0.65
    assert scores[0.6] == 0.5
    assert scores[0.65] == scores[1.5] == 1


def test_without_a_gain_the_rule_stays_the_plain_one():
    exponent, scores = choose_exponent(*images((0, 0.9), (1, 0.1)), PRIORS)
    assert exponent == 0
    assert scores[0.0] == 1


def study():
    """Two validation images as above; the test images would be best without any adjustment."""
    labels, probabilities = images((0, 0.3), (1, 0.1), (1, 0.45), (1, 0.45), (0, 0.6))
    ids = [f"I{row}" for row in range(5)]
    predictions = pd.DataFrame({"image_id": ids, "label": labels})
    predictions["partition"] = ["val", "val", "test", "test", "cal"]
    predictions[["p_mel", "p_nv"]] = probabilities
    train = pd.DataFrame({"image_id": [f"T{row}" for row in range(5)], "partition": "train"})
    train["label"] = [0, 1, 1, 1, 1]
    everything = pd.concat([train, predictions[list(train)]], ignore_index=True)
    return predictions, everything.drop(columns="partition"), everything.drop(columns="label")


def test_the_exponent_is_chosen_on_validation_images_with_the_priors_of_training():
    predictions, labels, partitions = study()
    found = fit_decision(
        predictions, labels, partitions, rule="prior_adjusted", calibration=UNCALIBRATED
    )
    assert found == {
        "rule": "prior_adjusted",
        "exponent": 0.65,
        "priors": {"mel": 0.2, "nv": 0.8},
        "n_images": 2,
        "balanced_accuracy": {"plain": 0.5, "prior_adjusted": 1.0},
    }


def test_no_other_image_changes_the_choice():
    predictions, labels, partitions = study()
    before = fit_decision(*study(), rule="prior_adjusted", calibration=UNCALIBRATED)
    other = predictions["partition"] != "val"
    predictions.loc[other, ["p_mel", "p_nv"]] = [0.999, 0.001]
    predictions.loc[other, "label"] = 1 - predictions.loc[other, "label"]
    held_out = partitions["partition"] != "train"
    labels.loc[held_out, "label"] = 0
    settings = {"rule": "prior_adjusted", "calibration": UNCALIBRATED}
    assert fit_decision(predictions, labels, partitions, **settings) == before


def test_the_probabilities_are_those_a_user_gets():
    # At temperature 2 the odds of .3 and .1 are (3/7)^(1/2) and (1/9)^(1/2): the melanoma is found
    # from 4^e > (7/3)^(1/2), e > .306, the naevus lost from 4^e > 3, e > .792.
    found = fit_decision(*study(), rule="prior_adjusted", calibration={"temperature": 2.0})
    assert found["exponent"] == 0.35


def test_the_plain_rule_needs_no_validation_images():
    predictions, labels, partitions = study()
    settings = {"labels": labels, "partitions": partitions, "calibration": UNCALIBRATED}
    assert fit_decision(predictions[2:], rule="plain", **settings) == PLAIN
    with pytest.raises(ValueError, match=r"^calibrate\.decision: prior_adjusted .* has none; "):
        fit_decision(predictions[2:], rule="prior_adjusted", **settings)


@pytest.mark.parametrize("exponent", [0.0, 0.8])
def test_the_scores_are_those_of_scikit_learn(exponent):
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 200, p=[0.1, 0.3, 0.6])
    probabilities = rng.dirichlet([1, 1, 1], 200)
    priors = np.array([0.1, 0.3, 0.6])
    weights = draw_weights(labels, np.arange(200), n_resamples=200, seed=1)
    codes = ("df", "mel", "nv")
    decision = {"rule": "prior_adjusted", "exponent": exponent}
    decision["priors"] = dict(zip(codes, priors, strict=True))
    config = BootstrapConfig(200, 0.95)
    found = score_decision(
        labels, probabilities, np.arange(200), decision, weights, config, codes=codes
    )
    predicted = (np.log(probabilities) - exponent * np.log(priors)).argmax(axis=1)
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(labels, predicted))
    expected = balanced_accuracy_score(labels, predicted)
    assert found["balanced_accuracy"]["value"] == pytest.approx(expected)
    recalls = recall_score(labels, predicted, average=None)
    shown = [found["sensitivity"][dx]["value"] for dx in codes]
    assert shown == pytest.approx(recalls)
    for row in (found["accuracy"], found["balanced_accuracy"], *found["sensitivity"].values()):
        assert row["low"] < row["value"] < row["high"]


def test_a_class_of_two_lesions_has_no_interval():
    labels, probabilities = images(*[(0, 0.7)] * 2, *[(1, 0.2)] * 5, (1, 0.9))
    units, config = np.arange(8), BootstrapConfig(100, 0.95)
    weights = draw_weights(labels, units, n_resamples=100, seed=1)
    found = score_decision(labels, probabilities, units, PLAIN, weights, config, codes=CODES)
    assert found["accuracy"]["low"] is not None
    assert found["balanced_accuracy"]["low"] is None
    assert found["sensitivity"]["mel"] == {"value": 1.0, "low": None, "high": None}
    assert found["sensitivity"]["nv"]["low"] is not None
