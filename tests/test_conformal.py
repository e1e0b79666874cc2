import numpy as np
import pytest
from crepes import ConformalClassifier
from crepes.extras import hinge
from scipy.special import softmax
from scipy.stats import binom

from lesions.conformal import (
    covered,
    describe_sets,
    describe_thresholds,
    likely_coverage,
    sets,
    sizes,
    thresholds,
)
from lesions.taxonomy import CODES

SHARES = (0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02)  # about HAM10000's


def draw(n_images, rng, shares=SHARES):
    """Give labels and the probabilities of a model that knows something, all exchangeable."""
    labels = rng.choice(7, size=n_images, p=shares)
    logits = rng.normal(scale=1.5, size=(n_images, 7))
    logits[np.arange(n_images), labels] += 1.5
    return labels, softmax(logits, axis=1)


def spread(of_the_diagnosis, labels):
    """Give probabilities with these values for the diagnoses, the rest shared equally."""
    of_the_diagnosis = np.asarray(of_the_diagnosis)
    probabilities = np.repeat((1 - of_the_diagnosis)[:, None] / 6, 7, axis=1)
    probabilities[np.arange(len(labels)), labels] = of_the_diagnosis
    return probabilities


def test_the_threshold_is_an_order_statistic_of_the_scores():
    # 19 scores 0.01, 0.02 … 0.19; coverage 0.8, so a share of 0.2 may be missed.
    # A score s has the p-value (1 + number of scores >= s) / 20; it is in while that is >= 0.2,
    # so while 3 or more scores are as large: up to 0.17.
    labels = np.full(19, 5)
    found = thresholds(labels, spread(1 - np.arange(1, 20) / 100, labels), coverage=0.8)
    assert found["threshold"] == pytest.approx(0.17)
    assert found["classes"]["nv"] == {"n_images": 19, "threshold": found["threshold"]}


@pytest.mark.parametrize(("n_images", "in_every_set"), [(8, True), (9, True), (10, False)])
def test_up_to_nine_images_rule_nothing_out_at_90_percent(n_images, in_every_set):
    # The p-value of the largest score there is: 1 / (n + 1), for 9 images exactly 1 - 0.9.
    labels = np.full(n_images, 4)
    found = thresholds(labels, spread(np.full(n_images, 0.9), labels), coverage=0.9)
    assert found["threshold"] == pytest.approx(1.0 if in_every_set else 0.1)
    assert (found["classes"]["mel"]["threshold"] == 1) == in_every_set


def test_a_class_without_images_is_in_every_set_and_named():
    labels, probabilities = draw(200, np.random.default_rng(0))
    kept = labels != 3
    conformal = thresholds(labels[kept], probabilities[kept], coverage=0.9)
    assert conformal["classes"]["df"] == {"n_images": 0, "threshold": 1.0}
    assert sets(probabilities, conformal)["class_conditional"][:, 3].all()
    assert "df" in describe_thresholds(conformal).rsplit(":", 1)[1]
    assert "nv" not in describe_thresholds(conformal).rsplit(":", 1)[1]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n_images", [3, 19, 99, 300])
@pytest.mark.parametrize("decimals", [2, 6, 17])
def test_the_sets_are_those_of_crepes_itself(coverage, n_images, decimals):
    rng = np.random.default_rng(n_images)
    labels, probabilities = draw(n_images, rng)
    _, new = draw(400, rng)
    # With two decimals many scores are equal; the rows still sum to 1 within the tolerance.
    probabilities, new = (_rounded(p, decimals) for p in (probabilities, new))
    ours = sets(new, thresholds(labels, probabilities, coverage=coverage))

    scores = hinge(probabilities, np.arange(7), labels)
    options = {"confidence": coverage, "smoothing": False}
    marginal = ConformalClassifier().fit(scores).predict_set(hinge(new), **options)
    assert (ours["marginal"] == marginal).all()
    mondrian = ConformalClassifier().fit(scores, bins=labels)
    for label in range(7):
        bins = np.full(len(new), label)
        expected = mondrian.predict_set(hinge(new)[:, [label]], bins=bins, **options)
        assert (ours["class_conditional"][:, [label]] == expected).all()


def _rounded(probabilities, decimals):
    """Round, and give the most probable what is then missing; scores become multiples again."""
    rounded = np.round(probabilities, decimals)
    rows, top = np.arange(len(rounded)), rounded.argmax(axis=1)
    rounded[rows, top] = 0
    rounded[rows, top] = np.round(1 - rounded.sum(axis=1), decimals)
    return rounded


def test_sets_hold_the_diagnosis_as_often_as_promised():
    # 200 repetitions × 100 new images, 120 for the thresholds: over the repetitions the chance to
    # be covered is from 0.9 to 0.9 + 2 / 121. The repetitions are independent, so the error of
    # their mean is measured; four times that is allowed.
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(200):
        conformal = thresholds(*draw(120, rng), coverage=0.9)
        labels, probabilities = draw(100, rng)
        shares.append(covered(labels, sets(probabilities, conformal)["marginal"]).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert 0.9 - 4 * error <= np.mean(shares) <= 0.9 + 2 / 121 + 4 * error


def test_one_new_image_a_repetition_is_covered_within_a_binomial_bound():
    # One image after each calibration: 1,000 independent trials of probability 0.9 at least, 0.9
    # + 2 / (n + 1) at most. Bounds that a right method leaves once in ten thousand times.
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(1000):
        labels, probabilities = draw(60, rng)
        conformal = thresholds(labels[:59], probabilities[:59], coverage=0.9)
        hits += covered(labels[59:], sets(probabilities[59:], conformal)["marginal"]).sum()
    assert binom.ppf(5e-5, 1000, 0.9) <= hits <= binom.ppf(1 - 5e-5, 1000, 0.9 + 2 / 60)


def test_every_class_is_covered_by_the_class_conditional_sets_though_not_by_the_marginal():
    # nv is easy and frequent, mel hard and rare: one threshold for all leaves mel behind.
    rng = np.random.default_rng(7)
    rare, marginal, conditional = [], [], []
    for _ in range(60):
        labels, probabilities = draw(500, rng, shares=(0, 0, 0, 0, 0.1, 0.9, 0))
        hard = labels == 4
        probabilities[hard] = softmax(np.log(probabilities[hard]) + 4 * np.eye(7)[5], axis=1)
        conformal = thresholds(labels[:300], probabilities[:300], coverage=0.9)
        kinds = sets(probabilities[300:], conformal)
        rare = labels[300:] == 4
        marginal.append(covered(labels[300:], kinds["marginal"])[rare].mean())
        conditional.append(covered(labels[300:], kinds["class_conditional"])[rare].mean())
    error = np.std(conditional) / np.sqrt(60)
    assert np.mean(marginal) < 0.8
    # Some 30 images of mel in each calibration: 0.9 up to 0.9 + 2 / 31.
    assert 0.9 - 4 * error <= np.mean(conditional) <= 0.9 + 2 / 31 + 4 * error


def test_coverage_and_size_are_means_over_images():
    taken = np.zeros((4, 7), bool)
    taken[0, [5, 4]] = taken[1, 5] = taken[2, 0] = True
    # Image 0 (nv) and 1 (nv) hold nv; 2 (mel) holds akiec alone; 3 (mel) is empty.
    labels = np.array([5, 5, 4, 4])
    assert covered(labels, taken).tolist() == [True, True, False, False]
    assert sizes(taken).tolist() == [2, 1, 1, 0]
    told = describe_sets(labels, taken)
    assert told["all"] == {"n_images": 4, "coverage": 2 / 4, "mean_set_size": 4 / 4}
    assert told["classes"]["nv"] == {"n_images": 2, "coverage": 1.0, "mean_set_size": 1.5}
    assert told["classes"]["mel"] == {"n_images": 2, "coverage": 0.0, "mean_set_size": 0.5}
    assert told["classes"]["df"] == {"n_images": 0, "coverage": None, "mean_set_size": None}
    assert list(told["classes"]) == list(CODES)


def test_the_coverage_of_nine_in_ten_draws_is_likely_coverage():
    # Scores are uniform, so that a threshold t covers just the share t of new images.
    rng = np.random.default_rng(8)
    labels = np.full(40, 5)
    found = []
    for _ in range(500):
        probabilities = spread(1 - rng.random(40), labels)
        found.append(thresholds(labels, probabilities, coverage=0.9)["threshold"])
    low, high = likely_coverage(40, coverage=0.9)
    inside = np.sum((np.array(found) >= low) & (np.array(found) <= high))
    assert binom.ppf(5e-5, 500, 0.9) <= inside <= binom.ppf(1 - 5e-5, 500, 0.9)
    # While 4 scores or more are as large, a p-value is 5 / 41 or more, above 0.1; of 3 it is
    # 4 / 41, below. So the 37th of 40 is the threshold: Beta(37, 4), whose mean is 37 / 41.
    assert np.mean(found) == pytest.approx(37 / 41, abs=0.01)
    assert likely_coverage(9, coverage=0.9) == (1.0, 1.0)


@pytest.mark.parametrize("coverage", [0, 1, 90, np.nan])
def test_a_coverage_that_is_no_share_is_refused(coverage):
    labels, probabilities = draw(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="coverage must lie between 0 and 1"):
        thresholds(labels, probabilities, coverage=coverage)


def test_bad_input_is_refused():
    labels, probabilities = draw(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="Labels must be integers from 0 to 6; row 0"):
        thresholds(np.full(20, 7), probabilities, coverage=0.9)
    with pytest.raises(ValueError, match="must sum to 1"):
        thresholds(labels, probabilities * 0.9, coverage=0.9)
    with pytest.raises(ValueError, match="Prediction sets must be"):
        covered(labels, np.ones((19, 7), bool))
