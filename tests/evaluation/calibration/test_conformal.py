import numpy as np
import pytest
from crepes import ConformalClassifier
from crepes.extras import hinge
from made_up import CODES
from scipy.special import softmax
from scipy.stats import binom

from lesions.evaluation.calibration.conformal import (
    coverage_range,
    describe_thresholds,
    fit_thresholds,
    is_covered,
    pooled_coverage_range,
)
from lesions.probabilities import prediction_sets

SHARES = (0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02)  # about HAM10000's


def draw(n_images, rng, shares=SHARES):
    """Return labels and the probabilities of a model better than chance, all exchangeable."""
    labels = rng.choice(7, size=n_images, p=shares)
    logits = rng.normal(scale=1.5, size=(n_images, 7))
    logits[np.arange(n_images), labels] += 1.5
    return labels, softmax(logits, axis=1)


def spread(own, labels):
    """Return probabilities with these values for the diagnoses, the rest shared equally."""
    own = np.asarray(own)
    probabilities = np.repeat((1 - own)[:, None] / 6, 7, axis=1)
    probabilities[np.arange(len(labels)), labels] = own
    return probabilities


def test_the_threshold_is_an_order_statistic_of_the_scores():
    # 19 scores 0.01, 0.02 … 0.19; coverage 0.8, so a share of 0.2 may be missed.
    # A score s has the p-value (1 + number of scores >= s) / 20. It is included if that is >= 0.2,
    # that is if at least 3 scores are as large: up to 0.17.
    labels = np.full(19, 5)
    found = fit_thresholds(
        labels, spread(1 - np.arange(1, 20) / 100, labels), coverage=0.8, codes=CODES
    )
    assert found["threshold"] == pytest.approx(0.17)
    assert found["classes"]["nv"] == {"n_images": 19, "threshold": found["threshold"]}


@pytest.mark.parametrize(("n_images", "in_every_set"), [(8, True), (9, True), (10, False)])
def test_up_to_nine_images_exclude_nothing_at_90_percent(n_images, in_every_set):
    # The p-value of the largest possible score is 1 / (n + 1), for 9 images exactly 1 - 0.9.
    labels = np.full(n_images, 4)
    found = fit_thresholds(
        labels, spread(np.full(n_images, 0.9), labels), coverage=0.9, codes=CODES
    )
    assert found["threshold"] == pytest.approx(1.0 if in_every_set else 0.1)
    assert (found["classes"]["mel"]["threshold"] == 1) == in_every_set


def test_a_class_without_images_is_in_every_set_and_named():
    labels, probabilities = draw(200, np.random.default_rng(0))
    kept = labels != 3
    conformal = fit_thresholds(labels[kept], probabilities[kept], coverage=0.9, codes=CODES)
    assert conformal["classes"]["df"] == {"n_images": 0, "threshold": 1.0}
    assert prediction_sets(probabilities, conformal)["class_conditional"][:, 3].all()
    assert "df" in describe_thresholds(conformal).rsplit(":", 1)[1]
    assert "nv" not in describe_thresholds(conformal).rsplit(":", 1)[1]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n_images", [3, 19, 99, 300])
@pytest.mark.parametrize("decimals", [2, 6, 17])
def test_the_sets_are_those_of_crepes(coverage, n_images, decimals):
    rng = np.random.default_rng(n_images)
    labels, probabilities = draw(n_images, rng)
    _, new = draw(400, rng)
    # With two decimals many scores are equal; the rows still sum to 1 within the tolerance.
    probabilities, new = (_rounded(p, decimals) for p in (probabilities, new))
    ours = prediction_sets(
        new, fit_thresholds(labels, probabilities, coverage=coverage, codes=CODES)
    )

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
    """Round, and add what is then missing to the largest, so that rows sum to 1."""
    rounded = np.round(probabilities, decimals)
    rows, top = np.arange(len(rounded)), rounded.argmax(axis=1)
    rounded[rows, top] = 0
    rounded[rows, top] = np.round(1 - rounded.sum(axis=1), decimals)
    return rounded


def test_sets_contain_the_diagnosis_with_the_nominal_coverage():
    # 200 repetitions × 100 new images, 120 for the thresholds: the expected coverage is from 0.9 to
    # 0.9 + 2 / 121. The repetitions are independent, so that the standard error of their mean is
    # measured; four times that is allowed.
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(200):
        conformal = fit_thresholds(*draw(120, rng), coverage=0.9, codes=CODES)
        labels, probabilities = draw(100, rng)
        sets = prediction_sets(probabilities, conformal)["marginal"]
        shares.append(is_covered(labels, sets).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert 0.9 - 4 * error <= np.mean(shares) <= 0.9 + 2 / 121 + 4 * error


def test_one_new_image_per_repetition_is_covered_within_a_binomial_bound():
    # One image after each calibration: 1,000 independent trials of probability 0.9 at least, 0.9
    # + 2 / (n + 1) at most. A correct method violates the bounds once in ten thousand times.
    rng = np.random.default_rng(6)
    n_covered = 0
    for _ in range(1000):
        labels, probabilities = draw(60, rng)
        conformal = fit_thresholds(labels[:59], probabilities[:59], coverage=0.9, codes=CODES)
        sets = prediction_sets(probabilities[59:], conformal)["marginal"]
        n_covered += is_covered(labels[59:], sets).sum()
    assert binom.ppf(5e-5, 1000, 0.9) <= n_covered <= binom.ppf(1 - 5e-5, 1000, 0.9 + 2 / 60)


def test_every_class_is_covered_by_the_class_conditional_sets_though_not_by_the_marginal():
    # nv is easy and frequent, mel hard and rare: one threshold for all covers mel too rarely.
    rng = np.random.default_rng(7)
    rare, marginal, conditional = [], [], []
    for _ in range(60):
        labels, probabilities = draw(500, rng, shares=(0, 0, 0, 0, 0.1, 0.9, 0))
        hard = labels == 4
        probabilities[hard] = softmax(np.log(probabilities[hard]) + 4 * np.eye(7)[5], axis=1)
        conformal = fit_thresholds(labels[:300], probabilities[:300], coverage=0.9, codes=CODES)
        kinds = prediction_sets(probabilities[300:], conformal)
        rare = labels[300:] == 4
        marginal.append(is_covered(labels[300:], kinds["marginal"])[rare].mean())
        conditional.append(is_covered(labels[300:], kinds["class_conditional"])[rare].mean())
    error = np.std(conditional) / np.sqrt(60)
    assert np.mean(marginal) < 0.8
    # Some 30 images of mel in each calibration: 0.9 up to 0.9 + 2 / 31.
    assert 0.9 - 4 * error <= np.mean(conditional) <= 0.9 + 2 / 31 + 4 * error


def test_an_image_is_covered_if_its_set_contains_the_diagnosis():
    taken = np.zeros((4, 7), bool)
    taken[0, [5, 4]] = taken[1, 5] = taken[2, 0] = True
    # The sets of images 0 and 1 (nv) contain nv; that of 2 (mel) only akiec; that of 3 is empty.
    labels = np.array([5, 5, 4, 4])
    assert is_covered(labels, taken).tolist() == [True, True, False, False]


def test_the_coverage_is_in_the_range_for_90_percent_of_calibration_samples():
    # Scores are uniform, so that a threshold t covers the share t of new images.
    rng = np.random.default_rng(8)
    labels = np.full(40, 5)
    found = []
    for _ in range(500):
        probabilities = spread(1 - rng.random(40), labels)
        found.append(fit_thresholds(labels, probabilities, coverage=0.9, codes=CODES)["threshold"])
    low, high = coverage_range(40, coverage=0.9)
    inside = np.sum((np.array(found) >= low) & (np.array(found) <= high))
    assert binom.ppf(5e-5, 500, 0.9) <= inside <= binom.ppf(1 - 5e-5, 500, 0.9)
    # If at least 4 scores are as large, the p-value is at least 5 / 41, above 0.1; with 3 it is
    # 4 / 41, below. So the 37th of 40 is the threshold: Beta(37, 4), whose mean is 37 / 41.
    assert np.mean(found) == pytest.approx(37 / 41, abs=0.01)
    assert coverage_range(9, coverage=0.9) == (1.0, 1.0)


def test_the_pooled_coverage_of_valid_sets_is_in_its_interval():
    # Scores are uniform. Five folds of 20 calibration images, one of 8, which excludes nothing.
    rng = np.random.default_rng(9)
    n_calibration, n_images = [20, 20, 20, 20, 20, 8], [30, 10, 25, 30, 1, 40]
    options = {"coverage": 0.9, "confidence": 0.9}
    low, high = pooled_coverage_range(n_calibration, n_images, **options)
    inside = 0
    for _ in range(1000):
        # The 19th of 20: with 3 scores as large, the p-value is 3 / 21, with 2 it is below 0.1.
        thresholds = [np.sort(rng.random(n))[18] if n == 20 else 1 for n in n_calibration]
        n_covered = [np.sum(rng.random(n) <= t) for n, t in zip(n_images, thresholds, strict=True)]
        inside += low <= sum(n_covered) / sum(n_images) <= high
    assert inside >= binom.ppf(5e-5, 1000, 0.9)
    assert inside <= binom.ppf(1 - 5e-5, 1000, 0.95)  # counts are whole numbers: a little more
    assert pooled_coverage_range([8], [40], **options) == (1.0, 1.0)


def test_the_interval_of_one_fold_is_that_of_the_beta_binomial():
    low, high = pooled_coverage_range([40], [100_000], coverage=0.9, confidence=0.9)
    assert (low, high) == pytest.approx(coverage_range(40, coverage=0.9), abs=1e-3)


def test_bad_input_is_refused():
    labels, probabilities = draw(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"Row 0 .* label is not an integer from 0 to 6"):
        fit_thresholds(np.full(20, 7), probabilities, coverage=0.9, codes=CODES)
    with pytest.raises(ValueError, match="sum of probabilities is not 1"):
        fit_thresholds(labels, probabilities * 0.9, coverage=0.9, codes=CODES)
