import numpy as np
import pandas as pd
import pytest

from lesions.predictions import check_predictions, take_rows
from lesions.taxonomy import PROBABILITIES


def certain(predicted, *, of=0.7):
    """Give `(n_images, 7)` with `of` at the predicted label and the rest shared equally."""
    probabilities = np.full((len(predicted), 7), (1 - of) / 6)
    probabilities[np.arange(len(predicted)), predicted] = of
    return probabilities


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"finite and from 0 to 1; row 1 has .*nan.*1 such rows of 3"),
        (-0.2, r"finite and from 0 to 1; row 1 has"),
        (0.8, r"sum to 1 \(within 0.0001\) in every row; row 1 has 1\.1"),
    ],
)
def test_a_bad_row_of_probabilities_is_named(value, message):
    probabilities = certain([5, 5, 4])
    probabilities[1, 5] = value
    with pytest.raises(ValueError, match=message):
        check_predictions(np.array([5, 5, 4]), probabilities)


@pytest.mark.parametrize("label", [7, -1, 4.5, np.nan])
def test_a_bad_label_is_named(label):
    with pytest.raises(ValueError, match=r"integers from 0 to 6; row 2 has"):
        check_predictions(np.array([5, 5, label]), certain([5, 5, 4]))


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([5], np.full((1, 6), 1 / 6), r"\(n_images, 7\).*found \(1, 6\)"),
        ([], np.empty((0, 7)), r"an image at least; found \(0, 7\)"),
        ([5, 5], certain([5]), r"Labels must be \(1,\).*found \(2,\)"),
        ([[5]], certain([5]), r"Labels must be \(1,\).*found \(1, 1\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        check_predictions(np.array(labels), probabilities)


def test_probabilities_of_six_decimals_are_accepted():
    probabilities = np.random.default_rng(3).dirichlet(np.ones(7), size=300)
    assert len(check_predictions(np.zeros(300, int), probabilities.round(6))[1]) == 300


def predictions_table(labels, probabilities, partitions):
    table = pd.DataFrame(probabilities, columns=list(PROBABILITIES))
    table.insert(0, "label", labels)
    table.insert(0, "partition", partitions)
    table.insert(0, "image_id", [f"I{row}" for row in range(len(table))])
    return table


def test_only_the_wanted_partition_is_taken():
    table = predictions_table([5, 4, 3], certain([5, 4, 3]), ["val", "test", "test"])
    taken = take_rows(table, "test")
    assert taken["image_id"].tolist() == ["I1", "I2"]
    assert taken.index.tolist() == [0, 1]


def test_an_empty_partition_and_a_missing_column_are_refused_with_a_way_out():
    table = predictions_table([5], certain([5]), ["val"])
    with pytest.raises(ValueError, match=r"'test'; found none among 1 rows; .*'split'"):
        take_rows(table, "test")
    with pytest.raises(ValueError, match=r"p_mel missing; run the stage 'predict'"):
        take_rows(table.drop(columns="p_mel"), "val")
