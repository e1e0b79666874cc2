import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, classification_report, roc_auc_score

from lesions.metrics import (
    check_predictions,
    confusion,
    details,
    headline,
    name_predictions,
    per_class,
    take_partition,
    to_json,
)
from lesions.taxonomy import CODES, PROBABILITIES

ROOT = Path(__file__).parents[1]


def certain(predicted, *, of=0.7):
    """Give `(n_images, 7)` with `of` at the predicted label and the rest shared equally."""
    probabilities = np.full((len(predicted), 7), (1 - of) / 6)
    probabilities[np.arange(len(predicted)), predicted] = of
    return probabilities


@pytest.fixture
def random_predictions():
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(range(7), (30, 20, 40, 10, 50, 200, 15)))
    logits = rng.normal(size=(len(labels), 7))
    logits[np.arange(len(labels)), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities


def test_headline_numbers_follow_from_counting():
    # nv (5): 4 images, 3 found. mel (4): 2 images, 1 found, and one nv is taken for mel.
    #   precision: nv 3 of 4, mel 1 of 2. recall: nv 3/4, mel 1/2. So f1: nv 3/4, mel 1/2.
    labels = np.array([5, 5, 5, 5, 4, 4])
    scores = headline(labels, certain([5, 5, 5, 4, 4, 5]))
    assert scores["n_images"] == 6
    assert scores["accuracy"] == pytest.approx(4 / 6)
    for name in ("precision_macro", "recall_macro", "f1_macro", "balanced_accuracy"):
        assert scores[name] == pytest.approx((3 / 4 + 1 / 2) / 2)
    for name in ("precision_weighted", "recall_weighted", "f1_weighted"):
        assert scores[name] == pytest.approx((4 * 3 / 4 + 2 * 1 / 2) / 6)


def test_headline_equals_scikit_learns_own_report(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(axis=1)
    scores = headline(labels, probabilities)
    report = classification_report(labels, predicted, output_dict=True, zero_division=0)
    for average in ("macro", "weighted"):
        for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{name}_{average}"] == pytest.approx(report[f"{average} avg"][theirs])
    assert scores["accuracy"] == pytest.approx(report["accuracy"])
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores["roc_auc_macro"] == pytest.approx(
        roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )


def test_each_class_equals_scikit_learns_own_report(random_predictions):
    labels, probabilities = random_predictions
    classes = per_class(labels, probabilities)
    report = classification_report(
        labels, probabilities.argmax(axis=1), target_names=CODES, output_dict=True, zero_division=0
    )
    assert list(classes) == list(CODES)
    for dx in CODES:
        ours = [classes[dx][name] for name in ("precision", "recall", "f1", "support")]
        theirs = [report[dx][name] for name in ("precision", "recall", "f1-score", "support")]
        assert ours == pytest.approx(theirs)


def test_the_area_under_the_curve_counts_well_ordered_pairs():
    # mel against the rest: positives .6 and .3, negatives .5 and .1: 3 of the 4 pairs are in order.
    # Of the two classes, nv's probability is one minus mel's, so its pairs are the same.
    probabilities = np.zeros((4, 7))
    probabilities[:, 4] = [0.6, 0.3, 0.5, 0.1]
    probabilities[:, 5] = 1 - probabilities[:, 4]
    labels = np.array([4, 4, 5, 5])
    assert per_class(labels, probabilities)["mel"]["roc_auc"] == pytest.approx(3 / 4)
    assert headline(labels, probabilities)["roc_auc_macro"] == pytest.approx(3 / 4)


def test_a_class_without_images_is_named_and_left_out_of_the_macro_means():
    # df (3) has no image but is predicted once: recall nv 2/3, mel 1/1, nothing for df.
    labels, probabilities = np.array([5, 5, 5, 4]), certain([5, 5, 3, 4])
    scores, more = headline(labels, probabilities), details(labels, probabilities)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["roc_auc_macro"] is not None
    assert more["classes_without_images"] == ["akiec", "bcc", "bkl", "df", "vasc"]
    assert more["classes"]["df"] == {
        "precision": 0, "recall": 0, "f1": 0, "support": 0, "roc_auc": None,
    }  # fmt: skip


def test_one_class_alone_has_no_area_under_the_curve():
    assert headline(np.array([5, 5]), certain([5, 4]))["roc_auc_macro"] is None


def test_confusion_has_the_diagnoses_in_rows():
    labels, probabilities = np.array([5, 5, 4]), certain([5, 4, 4])
    expected = np.zeros((7, 7), int)
    expected[5, 5] = expected[5, 4] = expected[4, 4] = 1
    np.testing.assert_array_equal(confusion(labels, probabilities), expected)
    assert details(labels, probabilities)["confusion"]["nv"]["mel"] == 1
    assert name_predictions(labels, probabilities).to_numpy().tolist() == [
        ["nv", "nv"], ["nv", "mel"], ["mel", "mel"],
    ]  # fmt: skip


def test_of_two_equal_probabilities_the_first_is_predicted():
    probabilities = np.zeros((1, 7))
    probabilities[0, [2, 4]] = 0.5
    assert name_predictions(np.array([4]), probabilities)["predicted"].tolist() == ["bkl"]


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
        headline(np.array(labels), probabilities)


def test_probabilities_of_six_decimals_are_accepted(random_predictions):
    labels, probabilities = random_predictions
    headline(labels, probabilities.round(6))


def predictions_table(labels, probabilities, partitions):
    table = pd.DataFrame(probabilities, columns=list(PROBABILITIES))
    table.insert(0, "label", labels)
    table.insert(0, "partition", partitions)
    table.insert(0, "image_id", [f"I{row}" for row in range(len(table))])
    return table


def test_only_the_wanted_partition_is_taken():
    table = predictions_table([5, 4, 3], certain([5, 4, 3]), ["val", "test", "test"])
    labels, probabilities = take_partition(table, "test")
    assert labels.tolist() == [4, 3]
    np.testing.assert_allclose(probabilities, certain([4, 3]))


def test_an_empty_partition_and_a_missing_column_are_refused_with_a_way_out():
    table = predictions_table([5], certain([5]), ["val"])
    with pytest.raises(ValueError, match=r"'test'; found none among 1 rows; .*'split'"):
        take_partition(table, "test")
    with pytest.raises(ValueError, match=r"p_mel missing; run the stage 'predict'"):
        take_partition(table.drop(columns="p_mel"), "val")


def test_json_rounds_floats_and_nothing_else():
    text = to_json({"n": 3, "deep": {"a": 2 / 3, "none": None, "codes": ["df"]}}, decimals=2)
    assert json.loads(text) == {"n": 3, "deep": {"a": 0.67, "none": None, "codes": ["df"]}}


def test_the_stage_scores_the_test_part_alone(random_predictions, tmp_path, monkeypatch):
    labels, probabilities = random_predictions
    partitions = ["val"] * 65 + ["test"] * 300
    (tmp_path / "predictions").mkdir()
    predictions_table(labels, probabilities, partitions).to_csv(
        tmp_path / "predictions" / "cnn.csv", index=False, float_format="%.6f"
    )
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    flags = (
        "--name cnn --predictions predictions/cnn.csv --evaluation metrics/evaluation/cnn.json "
        "--classes metrics/classes/cnn.json --confusion plots/confusion/cnn.csv "
        "--heatmap plots/heatmaps/cnn.png"
    )
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *flags.split()])
    runpy.run_path(str(ROOT / "stages" / "evaluate.py"), run_name="__main__")

    scores = json.loads(Path("metrics/evaluation/cnn.json").read_text())
    hits = np.sum(labels[65:] == probabilities[65:].argmax(axis=1))
    assert scores["n_images"] == 300
    assert scores["accuracy"] == pytest.approx(hits / 300, abs=5e-5)
    assert len(pd.read_csv("plots/confusion/cnn.csv")) == 300
    matrix = pd.DataFrame(json.loads(Path("metrics/classes/cnn.json").read_text())["confusion"])
    assert np.trace(matrix) == hits
    assert Path("plots/heatmaps/cnn.png").read_bytes().startswith(b"\x89PNG")
