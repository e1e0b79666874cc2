import numpy as np
import pytest
from made_up import CODES, MALIGNANT, make_predictions
from sklearn.metrics import average_precision_score, roc_auc_score

from lesions.evaluation.bootstrap import draw_weights
from lesions.evaluation.screening import (
    TASK_MEASURES,
    binarize,
    score_screening_tasks,
    screening_tasks,
    task_measures,
)


def operating_points(positive, scores):
    found = task_measures(positive, scores, np.ones((len(positive), 1)))
    return {name: float(values[0]) for name, values in found.items()}


@pytest.mark.parametrize(
    ("codes", "malignant", "tasks"),
    [
        (["a", "b", "c"], ["c", "a"], {"a": ["a"], "c": ["c"], "malignant": ["a", "c"]}),
        (["benign", "mel"], ["mel"], {"mel": ["mel"]}),  # malignant against benign is the same
        (["a", "b"], ["a", "b"], {"a": ["a"], "b": ["b"]}),  # nothing is benign
        (["a", "b"], [], {}),
    ],
)
def test_tasks_are_each_malignant_class_and_all_of_them_against_benign(codes, malignant, tasks):
    assert screening_tasks(codes, malignant) == tasks


def test_the_score_is_the_sum_of_the_probabilities_and_equal_sums_are_equal():
    # In floating point .1 + .2 + .3 is .6000000000000001, .3 + .2 + .1 is .6.
    probabilities = np.zeros((2, 7))
    probabilities[0, [0, 1, 4]] = 0.1, 0.2, 0.3
    probabilities[1, [0, 1, 4]] = 0.3, 0.2, 0.1
    probabilities[:, 5] = 0.4
    positive, scores = binarize(np.array([4, 5]), probabilities, [0, 1, 4])
    assert positive.tolist() == [True, False]
    assert scores.tolist() == [0.6, 0.6]


def test_operating_points_follow_from_counting():
    # Ten negatives at .05, .15, ..., .95 and four positives at .1, .5, .9, .97.
    #   specificity 90 %: one false positive is allowed (.95), thresholds down to just above .85:
    #   .9 and .97 are found, sensitivity 2/4; 95 %: none is allowed, so .97 alone, 1/4.
    #   sensitivity 90 %: all four must be found, threshold .1: all negatives but .05 are false
    #   positives, 1/10.
    negatives, positives = np.arange(10) / 10 + 0.05, [0.1, 0.5, 0.9, 0.97]
    points = operating_points(np.arange(14) >= 10, np.append(negatives, positives))
    assert points["sensitivity_at_90_specificity"] == 2 / 4
    assert points["sensitivity_at_95_specificity"] == 1 / 4
    assert points["specificity_at_90_sensitivity"] == pytest.approx(1 / 10)
    assert points["specificity_at_95_sensitivity"] == pytest.approx(1 / 10)


def test_a_rate_that_is_reached_exactly_counts():
    # 20 negatives: one false positive is allowed at 95 % (19/20), two at 90 % (18/20); each finds
    # one positive more.
    scores = np.array([0.7, 0.5, *[0.1] * 18, 0.8, 0.6, 0.4])
    positive = np.arange(23) >= 20
    points = operating_points(positive, scores)
    assert points["sensitivity_at_95_specificity"] == pytest.approx(2 / 3)
    assert points["sensitivity_at_90_specificity"] == pytest.approx(3 / 3)


def test_tasks_have_counts_point_estimates_and_intervals():
    labels, probabilities, lesions = make_predictions()
    weights = draw_weights(labels, lesions, n_resamples=200, seed=0)
    found = score_screening_tasks(
        labels, probabilities, weights, confidence=0.95, codes=CODES, malignant=MALIGNANT
    )
    assert list(found) == ["akiec", "bcc", "mel", "malignant"]
    malignant = found["malignant"]
    assert malignant["positive"] == ["akiec", "bcc", "mel"]
    assert (malignant["n_positive"], malignant["n_negative"]) == (30 + 20 + 50, 40 + 10 + 200 + 15)
    actual, scores = np.isin(labels, [0, 1, 4]), probabilities[:, [0, 1, 4]].sum(axis=1).round(9)
    assert malignant["roc_auc"]["value"] == pytest.approx(roc_auc_score(actual, scores))
    assert malignant["average_precision"]["value"] == pytest.approx(
        average_precision_score(actual, scores)
    )
    # 5 % of 50 melanomas are 2.5 images beyond the threshold, 5 % of 100 malignant images 5.
    assert found["mel"].pop("specificity_at_95_sensitivity")["low"] is None
    for task in (found["mel"], found["malignant"]):
        for name in set(TASK_MEASURES) & set(task):
            assert task[name]["low"] <= task[name]["value"] <= task[name]["high"]


def test_without_melanomas_the_task_has_no_scores():
    probabilities = np.full((2, 7), 1 / 7)
    found = score_screening_tasks(
        np.array([5, 5]),
        probabilities,
        np.ones((2, 3)),
        confidence=0.95,
        codes=CODES,
        malignant=MALIGNANT,
    )
    nothing = {"value": None, "low": None, "high": None}
    assert found["mel"] == {
        "positive": ["mel"], "n_positive": 0, "n_negative": 2,
    } | dict.fromkeys(TASK_MEASURES, nothing)  # fmt: skip


@pytest.mark.parametrize("decimals", [1, 2, 4])
@pytest.mark.parametrize("resampled", [False, True])
def test_the_partial_auc_is_that_of_the_isic_2024_challenge(decimals, resampled):
    """Whose code turns classes and scores round, and undoes scikit-learn's standardisation."""
    rng = np.random.default_rng(decimals)
    positive = rng.random(300) < 0.2
    scores = np.round(0.6 * rng.random(300) + 0.4 * positive, decimals)
    weights = rng.integers(0, 3, 300) if resampled else np.ones(300, int)
    found = task_measures(positive, scores, weights[:, None].astype(float))["partial_auc"]
    rows = np.repeat(np.arange(300), weights)
    scaled = roc_auc_score(~positive[rows], -scores[rows], max_fpr=0.2)
    lowest, highest = 0.2**2 / 2, 0.2
    expected = lowest + (highest - lowest) * (2 * scaled - 1)
    assert found == pytest.approx(expected)
