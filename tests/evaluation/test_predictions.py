import numpy as np
import pytest
from made_up import certain

from lesions.evaluation.predictions import check_predictions


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"Row 1 .* not finite or not from 0 to 1: .*nan.*1 such rows of 3"),
        (-0.2, r"Row 1 .* not finite or not from 0 to 1"),
        (0.8, r"Row 1 .* sum of probabilities is not 1 \(within 0.0001\): 1\.1"),
    ],
)
def test_a_bad_row_of_probabilities_is_named(value, message):
    probabilities = certain([5, 5, 4])
    probabilities[1, 5] = value
    with pytest.raises(ValueError, match=message):
        check_predictions(np.array([5, 5, 4]), probabilities)


@pytest.mark.parametrize("label", [7, -1, 4.5, np.nan])
def test_a_bad_label_is_named(label):
    with pytest.raises(ValueError, match=r"Row 2 .* label is not an integer from 0 to 6"):
        check_predictions(np.array([5, 5, label]), certain([5, 5, 4]))


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0], np.ones((1, 1)), r"shape \(1, 1\); expected \(n_images, n_classes\)"),
        ([], np.empty((0, 7)), r"shape \(0, 7\); .* at least one image"),
        ([5, 5], certain([5]), r"Labels have the shape \(2,\); expected \(1,\)"),
        ([[5]], certain([5]), r"Labels have the shape \(1, 1\); expected \(1,\)"),
    ],
)
def test_shapes_that_do_not_match_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        check_predictions(np.array(labels), probabilities)


def test_probabilities_of_six_decimals_are_accepted():
    probabilities = np.random.default_rng(3).dirichlet(np.ones(7), size=300)
    assert len(check_predictions(np.zeros(300, int), probabilities.round(6))[1]) == 300
