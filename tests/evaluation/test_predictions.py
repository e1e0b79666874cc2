import numpy as np
import pandas as pd
import pytest
from made_up import CODES, certain, make_predictions, point_measures

from lesions.evaluation.isic_submission import isic_columns, isic_submission
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
