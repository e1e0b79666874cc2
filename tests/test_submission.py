import numpy as np
import pandas as pd
import pytest
from made_up import world

from lesions.metrics import headline, per_class
from lesions.submission import COLUMNS, to_submission
from lesions.taxonomy import CODES


def test_columns_have_the_challenges_names_and_order():
    ids = pd.Series(["ISIC_2", "ISIC_1"])
    probabilities = np.array([[0.1, 0.2, 0.05, 0, 0.6, 0.05, 0], [0, 0, 0, 0, 0, 0, 1]])
    table = to_submission(ids, np.array([4, 6]), probabilities)
    assert list(table) == ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    assert table.to_numpy().tolist() == [
        ["ISIC_2", 0.6, 0.05, 0.2, 0.1, 0.05, 0, 0],
        ["ISIC_1", 0, 0, 0, 0, 0, 0, 1],
    ]


def test_an_image_that_stands_twice_is_refused():
    probabilities = np.full((2, 7), 1 / 7)
    with pytest.raises(ValueError, match="every image once; ISIC_1 stands twice"):
        to_submission(pd.Series(["ISIC_1", "ISIC_1"]), np.array([4, 5]), probabilities)


# ISIC's code renames columns in a way that pandas 3.1 has deprecated; the scores are not touched.
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_the_challenges_own_code_gives_our_scores():
    isic = pytest.importorskip(
        "isic_challenge_scoring.classification",
        reason="the second opinion is missing; 'pip install isic-challenge-scoring' brings it",
    )
    labels, probabilities, _ = untied_world()
    ids = pd.Series([f"ISIC_{row:07}" for row in range(len(labels))])
    predicted = to_submission(ids, labels, probabilities).set_index("image")
    truth = pd.get_dummies(pd.Series(labels, index=predicted.index)).astype(float)
    truth = truth.set_axis([dx.upper() for dx in CODES], axis=1)[list(COLUMNS)]
    weights = pd.DataFrame(1.0, truth.index, ["score_weight", "validation_weight"])
    theirs = isic.ClassificationScore(
        truth, predicted, weights, isic.ClassificationMetric.BALANCED_ACCURACY
    )

    scores, classes = headline(labels, probabilities), per_class(labels, probabilities)
    assert scores["balanced_accuracy"] == pytest.approx(theirs.overall)
    assert scores["roc_auc_macro"] == pytest.approx(theirs.macro_average["auc"], abs=1e-4)
    assert scores["average_precision_macro"] == pytest.approx(theirs.macro_average["ap"], abs=1e-4)
    for dx in CODES:
        row = theirs.per_category.loc[dx.upper()]
        assert classes[dx]["roc_auc"] == pytest.approx(row["auc"], abs=1e-4)
        assert classes[dx]["average_precision"] == pytest.approx(row["ap"], abs=1e-4)
        # Their sensitivity cuts each class at .5; ours is of the most probable class.
        cut = np.mean(probabilities[labels == CODES.index(dx), CODES.index(dx)] > 0.5)
        assert row["sensitivity"] == pytest.approx(cut)


def untied_world():
    """Give predictions without equal probabilities: ISIC calls an image of two maxima undecided."""
    labels, probabilities, lesions = world()
    noise = np.random.default_rng(1).random(probabilities.shape) / 100
    probabilities = (probabilities + noise) / (probabilities + noise).sum(axis=1, keepdims=True)
    return labels, probabilities.round(6), lesions
