import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from made_up import CODES, MALIGNANT, PROBABILITIES, make_predictions, point_measures

from lesions.evaluation.calibration.conformal import fit_thresholds
from lesions.evaluation.calibration.decision import PLAIN
from lesions.evaluation.evaluate import evaluate, make_tables
from lesions.evaluation.images.choice import NO_TEST_IMAGES, ONLY_TESTED_ON
from lesions.evaluation.images.metadata import collect_images
from lesions.evaluation.metrics import MEASURES
from lesions.evaluation.screening import TASK_MEASURES
from lesions.probabilities import apply_temperature

NOT_CALIBRATED = {
    "calibrated": False, "reason": "not calibrated: no images", "temperature": None,
    "conformal": None, "decision": PLAIN,
}  # fmt: skip
SETTINGS = {
    "partition": "test",
    "n_resamples": 100, "confidence": 0.9, "min_group_size": 30, "calibration_bins": 10, "seed": 1,
}  # fmt: skip


def study():
    """Return the tables of the stages before: 365 images, the last 300 to test on."""
    labels, probabilities, lesions = make_predictions()
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


OF_STUDY = {"malignant": MALIGNANT, "excluded": {}}


@pytest.fixture
def tables():
    return study()


@pytest.fixture(scope="module")
def calibration():
    labels, probabilities, _ = make_predictions(seed=9)
    conformal = fit_thresholds(
        labels, apply_temperature(probabilities, 1.5), coverage=0.9, codes=CODES
    )
    return {
        "calibrated": True, "method": "temperature scaling", "temperature": 1.5,
        "partition": "cal", "n_images": 41, "n_lesions": 37, "conformal": conformal,
        "negative_log_likelihood": {"before": 1.0, "after": 0.9}, "decision": PLAIN,
    }  # fmt: skip


@pytest.fixture(scope="module")
def details(calibration):
    return evaluate(
        collect_images(**study(), partition="test"), calibration=calibration, **SETTINGS, **OF_STUDY
    )


def test_test_images_are_joined_with_their_metadata(tables):
    test = collect_images(**tables, partition="test")
    assert list(test) == [
        "image_id", *PROBABILITIES, "label", "lesion_id", "unit", "sex", "age_band",
        "localization", "dx_type", "lesion_in_training", "group_in_training",
    ]  # fmt: skip
    known = tables["labels"][65:].reset_index(drop=True)
    assert test["image_id"].tolist() == known["image_id"].tolist()
    assert test["lesion_id"].tolist() == known["lesion_id"].tolist()
    assert set(test["localization"]) == {"back", "unknown"}
    assert set(test["age_band"]) == {"0–29", "45–59", "unknown"}
    trained = set(tables["labels"]["lesion_id"][:60])
    assert test["lesion_in_training"].tolist() == [x in trained for x in known["lesion_id"]]


def test_a_group_may_be_in_training_though_its_lesion_is_not(tables):
    tables["groups"]["group"] = "one"
    test = collect_images(**tables, partition="test")
    assert test["group_in_training"].all()
    assert not test["lesion_in_training"].all()


def test_without_training_images_there_is_no_leakage(tables):
    tables["partitions"]["partition"] = "test"
    bare = collect_images(**tables, partition="test")
    assert not {"lesion_in_training", "group_in_training"} & set(bare)
    found = evaluate(bare, calibration=NOT_CALIBRATED, **SETTINGS, **OF_STUDY)
    assert found["leakage"] is None


def test_patients_are_resampled_where_they_are_known(tables, details):
    tables["labels"]["patient_id"] = "everybody"
    test = collect_images(**tables, partition="test")
    assert set(test["unit"]) == {"everybody"}
    found = evaluate(test, calibration=NOT_CALIBRATED, **SETTINGS, **OF_STUDY)
    assert found["bootstrap"]["unit"] == "patient"
    # Every resample of one patient is the study itself; a class of one patient has no interval.
    accuracy = found["headline"]["accuracy"]
    assert accuracy["low"] == accuracy["value"] == accuracy["high"]
    assert found["classes"]["nv"]["sensitivity"]["low"] is None
    assert found["n_lesions"] == details["n_lesions"]


def test_without_lesion_ids_the_interval_says_so(tables):
    tables["labels"]["lesion_id"] = tables["labels"]["image_id"]
    found = evaluate(
        collect_images(**tables, partition="test"),
        calibration=NOT_CALIBRATED,
        **SETTINGS,
        **OF_STUDY,
    )
    assert found["bootstrap"]["unit"] == "image"
    assert not found["has_lesion_ids"]
    assert "photographs of one lesion could not be kept together" in found["bootstrap"]["resampled"]


def test_other_classes_than_those_of_isic_have_no_submission(tables):
    test = collect_images(**tables, partition="test")
    of_model = {"calibration": NOT_CALIBRATED, "malignant": MALIGNANT, "calibration_bins": 10}
    assert "isic_submission" in make_tables(test, **of_model)
    renamed = test.rename(columns={"p_df": "p_wart"})
    assert "isic_submission" not in make_tables(renamed, **of_model)


def test_tables_that_do_not_match_are_refused(tables):
    with pytest.raises(ValueError, match="images of the groups are not those of the labels"):
        collect_images(**tables | {"groups": tables["groups"][::-1]}, partition="test")
    shorter = {name: table[:-1] for name, table in tables.items()}
    with pytest.raises(ValueError, match="1 of the 300 test images in the predictions are not"):
        collect_images(**shorter | {"predictions": tables["predictions"]}, partition="test")
    tables["predictions"]["label"] = 6 - tables["predictions"]["label"]
    n_wrong = int((tables["labels"]["label"][65:] != 3).sum())
    with pytest.raises(ValueError, match=f"{n_wrong} of the 300 .* have another label there; run"):
        collect_images(**tables, partition="test")


def test_the_headline_is_that_of_the_probabilities_a_user_gets(tables, details):
    test = collect_images(**tables, partition="test")
    tempered = apply_temperature(test[list(PROBABILITIES)].to_numpy(), 1.5)
    points, classes = point_measures(test["label"].to_numpy(), tempered, calibration_bins=10)
    assert details["n_images"] == 300
    assert details["n_lesions"] == test["lesion_id"].nunique()
    assert list(details["headline"]) == list(MEASURES)
    assert {name: row["value"] for name, row in details["headline"].items()} == points
    assert details["probabilities"] == "calibrated"
    for dx, row in classes.items():
        assert details["classes"][dx]["sensitivity"]["value"] == row["sensitivity"]


def test_details_have_the_keys_of_the_contract(details):
    assert list(details) == [
        "partition", "says", "n_images", "n_lesions", "has_lesion_ids", "bootstrap", "excluded",
        "probabilities", "headline", "classes", "classes_without_images", "only_predicted",
        "confusion", "decision", "screening", "calibration", "conformal", "referral", "subgroups",
        "leakage",
    ]  # fmt: skip
    assert details["bootstrap"] == {
        "confidence": 0.9, "n_resamples": 100, "unit": "lesion",
        "resampled": "lesions, within each diagnosis",
    }  # fmt: skip
    assert [row["referred"] for row in details["referral"]] == [n / 10 for n in range(10)]
    assert list(details["referral"][0]) == ["referred", "n_images", "accuracy", "balanced_accuracy"]
    for task in details["screening"].values():
        assert all(set(task[name]) == {"value", "low", "high"} for name in TASK_MEASURES)
    assert list(details["subgroups"]) == ["sex", "age_band", "localization", "dx_type"]
    for unit in ("lesion", "group"):
        sides = details["leakage"][unit]
        assert sum(side["n_images"] for side in sides.values()) == 300
    assert json.loads(json.dumps(details, allow_nan=False)) == details


def test_the_confusion_counts_every_image_once(tables, details):
    matrix = pd.DataFrame(details["confusion"]).T
    assert list(matrix) == list(matrix.index) == list(CODES)
    counts = tables["predictions"]["label"][5:].value_counts().reindex(range(7))
    assert matrix.sum(axis=1).tolist() == counts.tolist()
    assert np.trace(matrix) == round(details["headline"]["accuracy"]["value"] * 300)


@pytest.mark.parametrize(
    ("predicted", "only"), [([3, 3, 3], "df"), ([3, 3, 5], None), ([5, 5, 5], "nv")]
)
def test_a_model_that_predicts_only_one_class_is_named_with_it(tables, predicted, only):
    test = collect_images(**tables, partition="test")[:3]
    test = test.assign(**dict(zip(PROBABILITIES, np.eye(7)[predicted].T, strict=True)))
    found = evaluate(test, calibration=NOT_CALIBRATED, **SETTINGS, **OF_STUDY)
    assert found["only_predicted"] == only


def test_without_calibration_the_raw_probabilities_are_scored(tables):
    test = collect_images(**tables, partition="test")
    found = evaluate(test, calibration=NOT_CALIBRATED, **SETTINGS, **OF_STUDY)
    assert found["probabilities"] == "not calibrated"
    assert found["conformal"] is None
    effect = found["calibration"]
    assert (effect["after"], effect["temperature"]) == (None, None)
    assert effect["says"] == "not calibrated: no images"
    points, _ = point_measures(test["label"].to_numpy(), test[list(PROBABILITIES)].to_numpy())
    assert found["headline"]["brier"]["value"] == points["brier"]


def test_a_class_without_test_images_is_named(tables, calibration):
    test = collect_images(**tables, partition="test")
    found = evaluate(test[test["label"] != 3], calibration=calibration, **SETTINGS, **OF_STUDY)
    assert found["classes_without_images"] == ["df"]
    assert found["classes"]["df"]["sensitivity"]["value"] is None
    assert found["conformal"]["marginal"]["classes"]["df"]["coverage"]["value"] is None


def test_the_same_seed_gives_the_same_numbers(tables, calibration, details):
    again = evaluate(
        collect_images(**tables, partition="test"), calibration=calibration, **SETTINGS, **OF_STUDY
    )
    assert again == details


def test_tables_for_the_plots_have_the_columns_of_the_contract(tables, calibration):
    test = collect_images(**tables, partition="test")
    made = make_tables(test, calibration=calibration, calibration_bins=10, malignant=MALIGNANT)
    assert {name: list(table) for name, table in made.items()} == {
        "images": ["image_id", "unit"],
        "roc": ["dx", "false_positive_rate", "sensitivity"],
        "precision_recall": ["dx", "sensitivity", "ppv"],
        "reliability": [
            "probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy",
        ],
        "referral": ["referred", "accuracy", "balanced_accuracy"],
        "confusion": ["dx", "predicted", "n_images", "share"],
        "isic_submission": ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"],
    }  # fmt: skip
    assert len(made["referral"]) == 100
    assert made["referral"]["referred"].iloc[-1] == 0.99
    assert set(made["reliability"]["probabilities"]) == {"raw", "calibrated"}
    raw = make_tables(test, calibration=NOT_CALIBRATED, calibration_bins=10, malignant=MALIGNANT)
    assert set(raw["reliability"]["probabilities"]) == {"raw"}
    np.testing.assert_allclose(raw["isic_submission"]["MEL"], test["p_mel"])


@pytest.fixture
def run_stage(tables, calibration, tmp_path, monkeypatch):
    """Run the stage on a set; return the folder of its evaluation, and the heat map's file."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def run(name, *, partition):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["sets"]["clinic"] = {
            "source": {"kind": "folder", "path": "clinic", "extra_images": "refuse"},
            "split": {"by": "none"},
        }
        params["evaluate"]["partition"] = partition
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        flags = ["--name", "cnn", "--set", name, "--calibration", "calibration.json"]
        for key, table in tables.items():
            table.to_csv(f"{key}.csv", index=False)
            flags += [f"--{key}", f"{key}.csv"]
        Path("calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
        Path("excluded.csv").write_text("value,n_images\nscc,7\nNA,2\n", encoding="utf-8")
        flags += ["--excluded", "excluded.csv"]
        folder, heatmap = Path(f"evaluation/{name}/cnn"), Path(f"plots/confusion/{name}/cnn.png")
        flags += ["--evaluation", str(folder), "--confusion", str(heatmap)]
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *flags])
        runpy.run_path(str(ROOT / "stages" / "evaluate.py"), run_name="__main__")
        return folder, heatmap

    return run


def test_the_stage_scores_only_the_test_images(tables, run_stage):
    folder, heatmap = run_stage("study", partition="test")
    test = tables["predictions"][5:]
    n_correct = np.sum(test["label"] == test[list(PROBABILITIES)].to_numpy().argmax(axis=1))
    found = json.loads((folder / "details.json").read_text(encoding="utf-8"))
    assert (found["partition"], found["n_images"]) == ("test", 300)
    assert found["excluded"] == {"scc": 7, "NA": 2}
    assert found["headline"]["accuracy"]["value"] == pytest.approx(n_correct / 300, abs=5e-5)
    assert "45–59" in found["subgroups"]["age_band"]["groups"]
    assert heatmap.read_bytes().startswith(b"\x89PNG")
    assert pd.read_csv(folder / "confusion.csv")["n_images"].sum() == 300
    assert len(pd.read_csv(folder / "isic_submission.csv")) == 300
    for name in ("roc", "precision_recall", "reliability", "referral"):
        assert not pd.read_csv(folder / f"{name}.csv").empty


def test_while_settings_are_chosen_the_stage_scores_only_validation_images(tables, run_stage):
    folder, _ = run_stage("study", partition="val")
    val = tables["predictions"][:5]
    n_correct = np.sum(val["label"] == val[list(PROBABILITIES)].to_numpy().argmax(axis=1))
    found = json.loads((folder / "details.json").read_text(encoding="utf-8"))
    assert (found["partition"], found["n_images"]) == ("val", 5)
    assert found["says"] == "Scored on the validation images."
    assert found["headline"]["accuracy"]["value"] == pytest.approx(n_correct / 5)
    assert pd.read_csv(folder / "confusion.csv")["n_images"].sum() == 5
    assert pd.read_csv(folder / "images.csv")["image_id"].tolist() == val["image_id"].tolist()


def test_while_settings_are_chosen_sets_that_are_only_tested_on_are_not_scored(tables, run_stage):
    tables["partitions"]["partition"] = "test"
    tables["predictions"]["partition"] = "test"
    folder, heatmap = run_stage("clinic", partition="val")
    found = json.loads((folder / "details.json").read_text(encoding="utf-8"))
    assert found == {
        "partition": None,
        "says": ONLY_TESTED_ON,
        "has_lesion_ids": True,
        "bootstrap": {
            "confidence": 0.95,
            "n_resamples": 2000,
            "unit": "lesion",
            "resampled": "lesions, within each diagnosis",
        },
        "excluded": {"scc": 7, "NA": 2},
    }
    assert [file.name for file in folder.iterdir()] == ["details.json"]
    assert heatmap.read_bytes().startswith(b"\x89PNG")


def test_a_study_without_test_images_is_not_scored(tables, run_stage):
    for name in ("partitions", "predictions"):
        tables[name] = tables[name].replace({"partition": {"test": "cal"}})
    folder, _ = run_stage("study", partition="test")
    found = json.loads((folder / "details.json").read_text(encoding="utf-8"))
    assert (found["partition"], found["says"]) == (None, NO_TEST_IMAGES)


def test_units_are_numbers_that_name_nobody(tables):
    tables["labels"]["patient_id"] = [f"Doe {row // 3}" for row in range(len(tables["labels"]))]
    images = collect_images(**tables, partition="test")
    of_model = {"calibration": NOT_CALIBRATED, "malignant": MALIGNANT, "calibration_bins": 10}
    units = make_tables(images, **of_model)["images"]["unit"]
    assert units.dtype == int
    pairs = pd.DataFrame({"number": units, "unit": images["unit"]}).drop_duplicates()
    assert pairs["number"].is_unique
    assert pairs["unit"].is_unique


def test_the_plain_rule_has_the_scores_of_the_headline(details):
    decision = details["decision"]
    assert (decision["rule"], decision["exponent"]) == ("plain", 0)
    for measure in ("accuracy", "balanced_accuracy"):
        assert decision[measure] == details["headline"][measure]
    for dx, row in details["classes"].items():
        assert decision["sensitivity"][dx] == row["sensitivity"]
