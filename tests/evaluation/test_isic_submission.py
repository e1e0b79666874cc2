import numpy as np
import pandas as pd
import pytest
from made_up import CODES, make_predictions, point_measures

from lesions.evaluation.isic_submission import isic_columns, isic_submission


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
