import numpy as np
import pandas as pd
import pytest
from made_up import CODES, LABELS, PROBABILITIES, certain, make_predictions, point_measures

from lesions.evaluation.isic_submission import isic_columns, isic_submission
from lesions.evaluation.predictions import (
    check_predictions,
    describe_mistakes,
    rank_mistakes,
    select_test,
)


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


def predictions_table(labels, probabilities, partitions):
    table = pd.DataFrame(probabilities, columns=list(PROBABILITIES))
    table.insert(0, "label", labels)
    table.insert(0, "partition", partitions)
    table.insert(0, "image_id", [f"I{row}" for row in range(len(table))])
    return table


def test_only_the_rows_of_the_partition_are_selected():
    table = predictions_table([5, 4, 3], certain([5, 4, 3]), ["val", "test", "test"])
    selected = select_test(table)
    assert selected["image_id"].tolist() == ["I1", "I2"]
    assert selected.index.tolist() == [0, 1]


def test_an_empty_partition_is_refused_with_a_way_out():
    table = predictions_table([5], certain([5]), ["val"])
    with pytest.raises(ValueError, match=r"None of the 1 rows .*'test'; .*sets\.study\.split"):
        select_test(table)


def confident_in(*pairs):
    """Return `(n_images, 7)`: of each pair, this share for the diagnosis, the rest equal."""
    probabilities = np.zeros((len(pairs), 7))
    for row, (dx, share) in enumerate(pairs):
        probabilities[row] = (1 - share) / 6
        probabilities[row, LABELS[dx]] = share
    return probabilities


def images_of(*diagnoses):
    ids = [f"ISIC_{row:07d}" for row in range(len(diagnoses))]
    return pd.DataFrame({"image_id": ids, "label": [LABELS[dx] for dx in diagnoses]})


@pytest.fixture
def four():
    """Two of four are wrong: a melanoma predicted as nevus and, more confidently, the reverse."""
    test = images_of("nv", "mel", "nv", "bcc")
    return test, confident_in(("nv", 0.99), ("nv", 0.8), ("mel", 0.9), ("bcc", 0.4))


def test_only_mistakes_are_selected_the_most_confident_first(four):
    expected = pd.DataFrame(
        {
            "image_id": ["ISIC_0000002", "ISIC_0000001"],
            "dx": ["nv", "mel"],
            "predicted": ["mel", "nv"],
            "probability": [0.9, 0.8],
        }
    )
    pd.testing.assert_frame_equal(rank_mistakes(*four, codes=CODES), expected)


def test_equally_confident_mistakes_are_sorted_by_image_id():
    test = images_of("nv", "nv", "nv")[::-1]
    mistakes = rank_mistakes(test, confident_in(*[("mel", 0.7)] * 3), codes=CODES)
    assert mistakes["image_id"].tolist() == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]


def test_a_model_without_mistakes_has_an_empty_table():
    assert rank_mistakes(images_of("nv"), confident_in(("nv", 1)), codes=CODES).empty


@pytest.mark.parametrize(
    ("n_mistakes", "n_shown", "text"),
    [
        (2, 1, "the 1 most confident of 2 mistakes among 4 test images"),
        (2, 24, "2 mistakes among 4 test images"),
        (1, 24, "1 mistake among 4 test images"),
        (0, 24, "no mistakes among 4 test images"),
    ],
)
def test_mistakes_are_described_by_how_many_of_how_many(n_mistakes, n_shown, text):
    assert describe_mistakes(n_mistakes, 4, n_shown=n_shown) == text


def test_a_submission_has_the_columns_of_the_challenge_in_order():
    ids = pd.Series(["ISIC_2", "ISIC_1"])
    probabilities = np.array([[0.1, 0.2, 0.05, 0, 0.6, 0.05, 0], [0, 0, 0, 0, 0, 0, 1]])
    table = isic_submission(ids, probabilities, codes=CODES)
    assert list(table) == ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    assert table.to_numpy().tolist() == [
        ["ISIC_2", 0.6, 0.05, 0.2, 0.1, 0.05, 0, 0],
        ["ISIC_1", 0, 0, 0, 0, 0, 0, 1],
    ]


# ISIC's code renames columns in a way that pandas 3.1 has deprecated; scores are not affected.
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_the_code_of_the_challenge_gives_our_scores():
    isic = pytest.importorskip(
        "isic_challenge_scoring.classification",
        reason="not installed; run 'pip install isic-challenge-scoring' for this second opinion",
    )
    labels, probabilities = predictions_without_ties()
    ids = pd.Series([f"ISIC_{row:07}" for row in range(len(labels))])
    predicted = isic_submission(ids, probabilities, codes=CODES).set_index("image")
    truth = pd.get_dummies(pd.Series(labels, index=predicted.index)).astype(float)
    truth = truth.set_axis([dx.upper() for dx in CODES], axis=1)[list(isic_columns(CODES))]
    weights = pd.DataFrame(1.0, truth.index, ["score_weight", "validation_weight"])
    theirs = isic.ClassificationScore(
        truth, predicted, weights, isic.ClassificationMetric.BALANCED_ACCURACY
    )

    scores, classes = point_measures(labels, probabilities)
    assert scores["balanced_accuracy"] == pytest.approx(theirs.overall)
    assert scores["roc_auc_macro"] == pytest.approx(theirs.macro_average["auc"], abs=1e-4)
    assert scores["average_precision_macro"] == pytest.approx(theirs.macro_average["ap"], abs=1e-4)
    for dx in CODES:
        row = theirs.per_category.loc[dx.upper()]
        assert classes[dx]["roc_auc"] == pytest.approx(row["auc"], abs=1e-4)
        assert classes[dx]["average_precision"] == pytest.approx(row["ap"], abs=1e-4)
        # Their sensitivity has a threshold of .5 for each class; ours is of the predicted class.
        found = np.mean(probabilities[labels == CODES.index(dx), CODES.index(dx)] > 0.5)
        assert row["sensitivity"] == pytest.approx(found)


def predictions_without_ties():
    """Return labels and probabilities; ISIC calls an image with two equal maxima undecided."""
    labels, probabilities, _ = make_predictions()
    noise = np.random.default_rng(1).random(probabilities.shape) / 100
    probabilities = (probabilities + noise) / (probabilities + noise).sum(axis=1, keepdims=True)
    return labels, probabilities.round(6)
