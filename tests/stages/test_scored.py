"""The stages after `predict`, each by its own `main`: what they score, and what they say of it."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from made_up import CODES
from made_up_study import make_curve, make_labels, make_picture, predict, save

from lesions.datasets.cohort_summary import summarize_cohort
from lesions.evaluation.images.choice import NO_TEST_IMAGES, ONLY_TESTED_ON
from lesions.sampling.split import count_partitions

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARTITIONS = ("train", "val", "cal", "test")
TESTED = re.compile(r"(on|of) the test (images|photographs)|\d test (images|photographs)")
MONITORED = ["epoch", "test_accuracy", "test_loss"]
WATCHED = "test images, watched during training; nothing was chosen by them"
MODELS = {"cnn": 3.0, "vgg16": 1.5}  # and their skill


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Write a study and a set `isic2018`; run the stages; return the settings that they read."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def run(name, **words):
        command = STAGES[name].get("do", STAGES[name])["cmd"]
        for key, word in words.items():
            command = command.replace(f"${{{key}}}", word)
        monkeypatch.setattr(sys, "argv", shlex.split(command)[2:])
        runpy.run_path(str(ROOT / "stages" / f"{name}.py"), run_name="__main__")

    def run_all(*, partition, rule="plain", partitions=PARTITIONS, profile="demo", monitored=()):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["profile"] = profile
        params["evaluate"] |= {"partition": partition, "n_resamples": 100}
        params["calibrate"]["decision"] = rule
        params["models"] = {name: params["models"][name] for name in MODELS}
        params["backbones"] = {"vgg16": params["backbones"]["vgg16"]}
        if "test" not in partitions:
            params["sets"]["study"]["split"]["test_size"] = 0.0
        params["sets"]["isic2018"] = {
            "source": {"kind": "folder", "path": "isic2018", "extra_images": "refuse"},
            "split": {"by": "none"},
        }
        for name in monitored:
            params["models"][name] |= {"keep_epoch": "last", "monitor": "test"}
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        write_set("study", partitions, watched=monitored)
        write_set("isic2018", ("test",))
        for model in MODELS:
            run("calibrate", **{"key": model})
            for name in ("study", "isic2018"):
                run("evaluate", **{"item.model": model, "item.set": name})
            run("mistakes", key=model)
        Path("templates").symlink_to(ROOT / "templates")
        for name in ("compare", "report", "card"):
            run(name)
        return params

    return run_all


def write_set(name, partitions, watched=()):
    """Write what the stages up to `predict` make of a set."""
    rng = np.random.default_rng(len(name))
    labels = make_labels(rng)
    if name != "study":
        for column in ("image_id", "lesion_id"):
            labels[column] = "X" + labels[column]
    labels["image_path"] = "a.png"
    drawn = labels[["image_id"]].assign(partition=rng.choice(partitions, len(labels)))
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    folder = Path("data/sets", name)
    save(folder / "raw/a.png", make_picture("a"))
    save(folder / "labels.csv", labels)
    save(folder / "groups.csv", groups)
    save(folder / "partitions.csv", drawn)
    (folder / "excluded.csv").write_text("value,n_images\n", encoding="utf-8")
    for model, skill in MODELS.items():
        predictions = predict(labels, drawn, rng, skill=skill)
        save(Path(f"predictions/{name}/{model}.csv"), predictions)
        save(Path(f"predictions/{name}/{model}.json"), {"cpu": "A CPU"})
        save(Path(f"plots/curves/{model}.csv"), make_curve(0))
    if name == "study":
        monitored = make_curve(0)[["epoch", "accuracy", "loss"]].set_axis(MONITORED, axis=1)
        for model in MODELS:
            rows = monitored if model in watched else monitored[:0]
            save(Path(f"plots/monitored/{model}.csv"), rows)
        save(folder / "audit/counts.json", {"n_images": len(labels)})
        save(folder / "audit/near_duplicates.png", make_picture("pairs"))
        counts = count_partitions(labels, drawn, groups, codes=CODES)
        save(Path("plots/partitions/study.csv"), counts)
        save(Path("plots/cohort.csv"), summarize_cohort(labels, codes=CODES))
        save(Path("plots/contact_sheet.png"), make_picture("sheet"))
        rows = [(dx, row, 9) for dx in CODES for row in ("train", "resampled")]
        save(Path("plots/balance.csv"), pd.DataFrame(rows, columns=["dx", "rows", "n_images"]))


def read(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def accuracy(name, model, partition):
    """Share of a partition's images that a model classifies correctly, from its predictions."""
    rows = pd.read_csv(f"predictions/{name}/{model}.csv").query("partition == @partition")
    predicted = rows[[f"p_{dx}" for dx in CODES]].to_numpy().argmax(axis=1)
    return float((predicted == rows["label"]).mean())


def written_texts():
    """Return the texts that a reader sees: page without its scripts, comparison, model card."""
    page = Path("plots/report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    files = ("plots/comparison/comparison.md", "MODEL_CARD.md")
    return [page, *(Path(file).read_text(encoding="utf-8") for file in files)]


def test_while_settings_are_chosen_nothing_is_scored_but_validation_images(study):
    study(partition="val", profile="paper")
    for model in MODELS:
        found = read(f"metrics/{model}.json")
        assert found["accuracy"] == pytest.approx(accuracy("study", model, "val"), abs=5e-5)
        assert len(found) == 5
        assert read(f"evaluation/study/{model}/details.json")["partition"] == "val"
        assert read(f"evaluation/isic2018/{model}/details.json")["says"] == ONLY_TESTED_ON
        assert Path(f"plots/mistakes/{model}.png").exists()
    assert sorted(file.name for file in Path("metrics").rglob("*")) == ["cnn.json", "vgg16.json"]
    val = pd.read_csv("predictions/study/cnn.csv").query("partition == 'val'")
    for table in ("confusion", "roc", "precision_recall", "reliability", "referral"):
        assert set(pd.read_csv(f"plots/comparison/{table}.csv")["set"]) == {"study"}
    confusion = pd.read_csv("plots/comparison/confusion.csv")
    assert (confusion.groupby("model")["n_images"].sum() == len(val)).all()
    scores = pd.read_csv("plots/comparison/scores.csv")
    assert scores["source"].tolist() == ["measured on validation images"] * 2  # none published
    assert scores["n_images"].tolist() == [len(val)] * 2
    differences = read("plots/comparison/differences.json")
    assert (differences["set"], differences["partition"]) == ("study", "val")
    assert set(read("plots/comparison/comparison.json")["cnn"]) == {"study"}
    for text in written_texts():
        assert "no test image was scored" in text
        assert ONLY_TESTED_ON[3:] in text.replace("&#39;", "'")  # after "Not" or "was not"
        always_true = "selects no setting and no epoch on the test images"
        assert not TESTED.search(text.replace(always_true, ""))


def test_test_images_are_scored_of_the_study_and_of_every_other_set(study):
    study(partition="test", profile="paper")
    for model in MODELS:
        for name, file in (("study", f"{model}.json"), ("isic2018", f"isic2018/{model}.json")):
            found = read(f"metrics/{file}")["accuracy"]
            assert found == pytest.approx(accuracy(name, model, "test"), abs=5e-5)
    sources = pd.read_csv("plots/comparison/scores.csv")["source"].tolist()
    assert sources == ["measured", "on isic2018", "published"] * 2 + ["published"]
    assert all("no test image was scored" not in text for text in written_texts())


def test_monitored_test_images_are_drawn_and_marked(study):
    study(partition="test", monitored=["vgg16"])
    page, _, card = written_texts()
    assert WATCHED in page
    assert "the scores on this card; watched during training, nothing was chosen by them" in card
    watched = pd.read_csv("plots/comparison/learning_curves.csv").query("partition == 'test'")
    assert set(watched["model"]) == {"vgg16"}
    expected = pd.read_csv("plots/monitored/vgg16.csv")
    assert watched[["epoch", "accuracy", "loss"]].to_numpy() == pytest.approx(expected.to_numpy())


def test_where_no_test_image_is_monitored_none_is_mentioned(study):
    study(partition="test")
    curves = pd.read_csv("plots/comparison/learning_curves.csv")
    assert set(curves["partition"]) == {"train", "val"}
    assert not any("watched during training" in text for text in written_texts())


def test_a_study_without_test_images_is_compared_on_the_other_set(study):
    study(partition="test", partitions=PARTITIONS[:3], profile="paper")
    assert sorted(map(str, Path("metrics").rglob("*.json"))) == [
        f"metrics/isic2018/{model}.json" for model in MODELS
    ]
    found = read("metrics/isic2018/cnn.json")["accuracy"]
    assert found == pytest.approx(accuracy("isic2018", "cnn", "test"), abs=5e-5)
    assert read("evaluation/study/cnn/details.json")["says"] == NO_TEST_IMAGES
    sources = pd.read_csv("plots/comparison/scores.csv")["source"].tolist()
    assert sources == ["on isic2018"] * 2
    differences = read("plots/comparison/differences.json")
    assert differences["set"] == "isic2018"
    (pair,) = differences["pairs"]
    difference = pair["measures"]["accuracy"]["difference"]
    expected = accuracy("isic2018", "cnn", "test") - accuracy("isic2018", "vgg16", "test")
    assert difference == pytest.approx(expected, abs=5e-5)
    for text in written_texts():
        assert f"study was not{NO_TEST_IMAGES[3:]}" in text


def test_the_adjusted_rule_is_fitted_on_validation_images_and_reported_for_every_set(study):
    study(partition="test", rule="prior_adjusted")
    fitted = read("evaluation/calibration/vgg16.json")["decision"]
    assert fitted["exponent"] > 0
    assert sum(fitted["priors"].values()) == pytest.approx(1)
    for name in ("study", "isic2018"):
        decision = read(f"evaluation/{name}/vgg16/details.json")["decision"]
        assert decision["exponent"] == fitted["exponent"]
        metrics = read(f"metrics/{'' if name == 'study' else name}/vgg16.json")
        assert metrics["accuracy_adjusted"] == decision["accuracy"]["value"]
        assert metrics["balanced_adjusted"] == decision["balanced_accuracy"]["value"]
    for text in written_texts():
        assert "prior-adjusted" in text
