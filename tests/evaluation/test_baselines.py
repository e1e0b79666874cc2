import numpy as np
import pytest

from lesions.evaluation.baselines import PUBLISHED
from lesions.evaluation.metrics import MEASURES

# The paper's tables: precision, recall and F1 of each class, and its number of test images.
SUPPORTS = [69, 93, 228, 28, 226, 1338, 21]
PER_CLASS = {
    "cnn": [
        (0.42, 0.41, 0.41),
        (0.54, 0.46, 0.50),
        (0.47, 0.41, 0.44),
        (0.44, 0.25, 0.32),
        (0.41, 0.42, 0.42),
        (0.84, 0.87, 0.85),
        (0.61, 0.81, 0.69),
    ],
    "vgg16": [
        (0.29, 0.33, 0.31),
        (0.41, 0.41, 0.41),
        (0.34, 0.51, 0.41),
        (0.45, 0.32, 0.38),
        (0.30, 0.42, 0.35),
        (0.87, 0.73, 0.79),
        (0.48, 0.57, 0.52),
    ],
}


@pytest.mark.parametrize("model", ["cnn", "vgg16"])
@pytest.mark.parametrize(("average", "weights"), [("macro", None), ("weighted", SUPPORTS)])
def test_the_published_means_are_those_of_the_classes_in_the_paper(model, average, weights):
    # Cells and means are rounded to two decimals, so they agree to .005 + .005.
    published = PUBLISHED["paper"][model]
    means = np.average(PER_CLASS[model], axis=0, weights=weights)
    for name, mean in zip(("precision", "recall", "f1"), means, strict=True):
        assert published[f"{name}_{average}"] == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize("model", ["cnn", "vgg16"])
def test_the_published_accuracy_is_the_weighted_recall(model):
    # Correct images over all images is the mean recall, weighted by the classes' images.
    published = PUBLISHED["paper"][model]
    assert published["n_images"] == sum(SUPPORTS)
    assert published["accuracy"] == pytest.approx(published["recall_weighted"], abs=0.005)


def test_a_row_may_have_only_the_accuracy():
    assert PUBLISHED["paper"]["resnet50"] == {"n_images": 2003, "accuracy": 0.2486}


def test_published_numbers_are_measures_of_ours():
    for models in PUBLISHED.values():
        for measures in models.values():
            assert set(measures) <= {"n_images", *MEASURES}
