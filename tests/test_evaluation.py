import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import world
from sklearn.metrics import log_loss

from lesions.conformal import sets, thresholds
from lesions.evaluation import evaluate, gather_test, make_tables
from lesions.metrics import MEASURES, headline, per_class
from lesions.questions import QUESTION_MEASURES
from lesions.tables import to_json
from lesions.taxonomy import CODES, PROBABILITIES
from lesions.temperature import apply_temperature

ROOT = Path(__file__).parents[1]
NOT_CALIBRATED = {
    "calibrated": False, "reason": "not calibrated: none set aside", "temperature": None,
    "conformal": None,
}  # fmt: skip
SETTINGS = {
    "n_resamples": 100, "confidence": 0.9, "min_group_size": 30, "calibration_bins": 10, "seed": 1,
}  # fmt: skip
V = {"value", "low", "high"}


def study():
    """Give the tables that the stages before write: 365 images, the last 300 to test on."""
    labels, probabilities, lesions = world()
    order = np.random.default_rng(2).permutation(len(labels))
    labels, probabilities, lesions = labels[order], probabilities[order], lesions[order]
    image_ids = [f"I{row:03}" for row in range(len(labels))]
    rng = np.random.default_rng(4)
    known = pd.DataFrame(
        {
            "lesion_id": lesions,
            "image_id": image_ids,
            "dx": np.array(CODES)[labels],
            "dx_type": rng.choice(["histo", "consensus"], len(labels)),
            "age": rng.choice([20.0, 50.0, np.nan], len(labels)),
            "sex": rng.choice(["male", "female"], len(labels)),
            "localization": rng.choice(["back", None], len(labels)),
            "label": labels,
        }
    )
    partition = ["train"] * 60 + ["val"] * 5 + ["test"] * 300
    partitions = pd.DataFrame({"image_id": image_ids, "partition": partition})
    groups = pd.DataFrame({"image_id": image_ids, "group": lesions})
    predictions = partitions.assign(
        label=labels, **dict(zip(PROBABILITIES, probabilities.T, strict=True))
    )[60:]
    return {
        "predictions": predictions, "labels": known, "groups": groups, "partitions": partitions,
    }  # fmt: skip


@pytest.fixture
def tables():
    return study()


@pytest.fixture(scope="module")
def calibration():
    labels, probabilities, _ = world(seed=9)
    conformal = thresholds(labels, apply_temperature(probabilities, 1.5), coverage=0.9)
    return {
        "calibrated": True, "method": "temperature scaling", "temperature": 1.5, "n_images": 41,
        "n_lesions": 37, "conformal": conformal,
        "negative_log_likelihood": {"before": 1.0, "after": 0.9},
    }  # fmt: skip


@pytest.fixture(scope="module")
def evaluated(calibration):
    return evaluate(gather_test(**study()), calibration=calibration, **SETTINGS)


def test_the_test_part_is_joined_with_what_is_known_of_each_image(tables):
    test = gather_test(**tables)
    assert list(test) == [
        "image_id", *PROBABILITIES, "label", "lesion_id", "sex", "age_band", "localization",
        "dx_type", "lesion_in_training", "group_in_training",
    ]  # fmt: skip
    known = tables["labels"][65:].reset_index(drop=True)
    assert test["image_id"].tolist() == known["image_id"].tolist()
    assert test["lesion_id"].tolist() == known["lesion_id"].tolist()
    assert set(test["localization"]) == {"back", "unknown"}
    assert set(test["age_band"]) == {"0–29", "45–59", "unknown"}
    trained = set(tables["labels"]["lesion_id"][:60])
    assert test["lesion_in_training"].tolist() == [x in trained for x in known["lesion_id"]]


def test_a_group_may_be_in_training_where_its_lesion_is_not(tables):
    tables["groups"]["group"] = "one"
    test = gather_test(**tables)
    assert test["group_in_training"].all()
    assert not test["lesion_in_training"].all()


def test_images_that_nothing_was_trained_on_have_no_leak(tables):
    tables["partitions"]["partition"] = "test"
    assert "lesion_in_training" not in gather_test(**tables)
    bare = gather_test(tables["predictions"], tables["labels"])
    assert "group_in_training" not in bare
    _, details = evaluate(bare, calibration=NOT_CALIBRATED, **SETTINGS)
    assert details["leakage"] is None


def test_tables_that_do_not_belong_together_are_refused(tables):
    with pytest.raises(ValueError, match="The groups must have the images of the labels"):
        gather_test(**tables | {"groups": tables["groups"][::-1]})
    with pytest.raises(ValueError, match="of 300 test images 299 are there; run"):
        gather_test(**{name: table[:-1] for name, table in tables.items() if name != "predictions"},
                    predictions=tables["predictions"])  # fmt: skip
    tables["predictions"]["label"] = 6 - tables["predictions"]["label"]
    with pytest.raises(ValueError, match="agree with their labels"):
        gather_test(**tables)


def test_the_headline_is_of_the_probabilities_that_a_user_gets(tables, calibration, evaluated):
    scores, details = evaluated
    test = gather_test(**tables)
    tempered = apply_temperature(test[list(PROBABILITIES)].to_numpy(), 1.5)
    points = headline(test["label"], tempered, calibration_bins=10)
    assert list(scores) == ["n_images", "n_lesions", *MEASURES]
    assert scores["n_lesions"] == test["lesion_id"].nunique()
    assert {name: scores[name] for name in points} == points
    assert {name: row["value"] for name, row in details["headline"].items()} == {
        name: points[name] for name in MEASURES
    }
    assert details["probabilities"] == "calibrated"
    for dx, row in per_class(test["label"], tempered).items():
        assert details["classes"][dx]["sensitivity"]["value"] == row["sensitivity"]


def test_details_hold_all_that_was_agreed(evaluated):
    _, details = evaluated
    assert list(details) == [
        "probabilities", "protocol", "headline", "classes", "classes_without_images", "confusion",
        "questions", "calibration", "conformal", "referral", "subgroups", "leakage",
    ]  # fmt: skip
    assert details["protocol"] == {
        "confidence": 0.9, "n_resamples": 100, "resampled": "lesions, within each diagnosis",
        "n_lesions": evaluated[0]["n_lesions"],
    }  # fmt: skip
    assert [row["referred"] for row in details["referral"]] == [n / 10 for n in range(10)]
    assert list(details["referral"][0]) == ["referred", "n_images", "accuracy", "balanced_accuracy"]
    for answer in details["questions"].values():
        assert all(set(answer[name]) == V for name in QUESTION_MEASURES)
    assert list(details["subgroups"]) == ["sex", "age_band", "localization", "dx_type"]
    for unit in ("lesion", "group"):
        sides = details["leakage"][unit]
        assert sum(side["n_images"] for side in sides.values()) == 300
    assert json.loads(to_json(details, decimals=4))["headline"].keys() == details["headline"].keys()


def test_the_confusion_counts_every_image_once(tables, evaluated):
    matrix = pd.DataFrame(evaluated[1]["confusion"]).T
    counts = tables["predictions"]["label"][5:].value_counts().reindex(range(7))
    assert matrix.sum(axis=1).tolist() == counts.tolist()
    assert np.trace(matrix) == round(evaluated[0]["accuracy"] * 300)


def test_the_effect_of_the_temperature_is_reported_with_intervals(tables, evaluated):
    effect = evaluated[1]["calibration"]
    test = gather_test(**tables)
    raw = test[list(PROBABILITIES)].to_numpy()
    assert effect["temperature"] == 1.5
    assert effect["says"] == "temperature 1.50, fitted on 41 images of the calibration part"
    for name, probabilities in (("before", raw), ("after", apply_temperature(raw, 1.5))):
        points = headline(test["label"], probabilities, calibration_bins=10)
        floored = np.maximum(probabilities, 1e-7)
        floored /= floored.sum(axis=1, keepdims=True)
        points["negative_log_likelihood"] = log_loss(test["label"], floored, labels=range(7))
        for measure, row in effect[name].items():
            assert row["value"] == pytest.approx(points[measure], abs=1e-6)
            assert row["low"] < row["high"]
    assert effect["after"]["brier"]["value"] == evaluated[0]["brier"]


def test_prediction_sets_are_counted_on_the_test_part(tables, calibration, evaluated):
    report = evaluated[1]["conformal"]
    test = gather_test(**tables)
    labels = test["label"].to_numpy()
    tempered = apply_temperature(test[list(PROBABILITIES)].to_numpy(), 1.5)
    assert report["coverage"] == 0.9
    assert "calibration part" in report["says"]
    for kind, taken in sets(tempered, calibration["conformal"]).items():
        right = taken[np.arange(300), labels]
        assert report[kind]["all"]["n_images"] == 300
        assert report[kind]["all"]["coverage"]["value"] == pytest.approx(right.mean())
        assert report[kind]["all"]["mean_set_size"]["value"] == pytest.approx(taken.sum() / 300)
        mel = report[kind]["classes"]["mel"]
        assert (mel["n_images"], mel["n_calibration"]) == (np.sum(labels == 4), 50)
        assert mel["coverage"]["value"] == pytest.approx(right[labels == 4].mean())
        assert mel["coverage"]["low"] <= mel["coverage"]["value"] <= mel["coverage"]["high"]


def test_without_calibration_it_says_so(tables):
    test = gather_test(**tables)
    scores, details = evaluate(test, calibration=NOT_CALIBRATED, **SETTINGS)
    assert details["probabilities"] == "not calibrated"
    assert details["conformal"] is None
    effect = details["calibration"]
    assert (effect["after"], effect["temperature"]) == (None, None)
    assert effect["says"] == "not calibrated: none set aside"
    points = headline(test["label"], test[list(PROBABILITIES)], calibration_bins=10)
    assert scores["brier"] == points["brier"]


def test_a_class_without_test_images_is_named(tables, calibration):
    test = gather_test(**tables)
    _, details = evaluate(test[test["label"] != 3], calibration=calibration, **SETTINGS)
    assert details["classes_without_images"] == ["df"]
    assert details["classes"]["df"]["sensitivity"]["value"] is None
    assert details["conformal"]["marginal"]["classes"]["df"]["coverage"]["value"] is None


def test_the_same_seed_gives_the_same_numbers(tables, calibration, evaluated):
    again = evaluate(gather_test(**tables), calibration=calibration, **SETTINGS)
    assert again == evaluated


def test_tables_for_the_plots_have_the_agreed_columns(tables, calibration):
    test = gather_test(**tables)
    made = make_tables(test, calibration=calibration, calibration_bins=10)
    assert {name: list(table) for name, table in made.items()} == {
        "confusion": ["actual", "predicted"],
        "roc": ["dx", "false_positive_rate", "sensitivity"],
        "precision_recall": ["dx", "sensitivity", "ppv"],
        "reliability": [
            "probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy",
        ],
        "referral": ["referred", "accuracy", "balanced_accuracy"],
        "submission": ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"],
    }  # fmt: skip
    assert len(made["referral"]) == 100
    assert made["referral"]["referred"].iloc[-1] == 0.99
    assert set(made["reliability"]["probabilities"]) == {"raw", "calibrated"}
    raw = make_tables(test, calibration=NOT_CALIBRATED, calibration_bins=10)
    assert set(raw["reliability"]["probabilities"]) == {"raw"}
    np.testing.assert_allclose(raw["submission"]["MEL"], test["p_mel"])


def test_the_stage_scores_the_test_part_alone(tables, calibration, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name, table in tables.items():
        table.to_csv(f"{name}.csv", index=False)
    Path("calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    flags = ["--name", "cnn", "--calibration", "calibration.json"]
    for name in tables:
        flags += [f"--{name}", f"{name}.csv"]
    outputs = {
        "evaluation": "metrics/evaluation/cnn.json", "details": "metrics/details/cnn.json",
        "heatmap": "plots/heatmaps/cnn.png", "confusion": "plots/confusion/cnn.csv",
        "roc": "plots/roc/cnn.csv", "precision-recall": "plots/precision_recall/cnn.csv",
        "reliability": "plots/reliability/cnn.csv", "referral": "plots/referral/cnn.csv",
        "submission": "predictions/isic/cnn.csv",
    }  # fmt: skip
    for name, path in outputs.items():
        flags += [f"--{name}", path]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *flags])
    runpy.run_path(str(ROOT / "stages" / "evaluate.py"), run_name="__main__")

    test = tables["predictions"][5:]
    hits = np.sum(test["label"] == test[list(PROBABILITIES)].to_numpy().argmax(axis=1))
    scores = json.loads(Path(outputs["evaluation"]).read_text(encoding="utf-8"))
    assert scores["n_images"] == 300
    assert scores["accuracy"] == pytest.approx(hits / 300, abs=5e-5)
    details = json.loads(Path(outputs["details"]).read_text(encoding="utf-8"))
    assert details["headline"]["accuracy"]["value"] == scores["accuracy"]
    assert "45–59" in details["subgroups"]["age_band"]["groups"]
    assert Path(outputs["heatmap"]).read_bytes().startswith(b"\x89PNG")
    for name in ("confusion", "submission"):
        assert len(pd.read_csv(outputs[name])) == 300
    for name in ("roc", "precision-recall", "reliability", "referral"):
        assert not pd.read_csv(outputs[name]).empty
