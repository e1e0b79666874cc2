"""`tools/ablation.py`, on made-up predictions and a DVC that only takes notes."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from made_up import PROBABILITIES, certain
from scipy.stats import t
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from lesions.config import parse_params

sys.path.append(str(ROOT / "tools"))
import ablation

RNG = np.random.default_rng(4)
LABELS = np.repeat(range(7), [60, 80, 100, 50, 110, 300, 50])
# Model to the share of images that it classifies correctly.
SKILLS = {"a": 0.70, "b": 0.71, "c": 0.72, "better": 0.85, "similar": 0.71}
PRIORS = dict(zip([p[2:] for p in PROBABILITIES], np.bincount(LABELS) / len(LABELS), strict=True))


def make_params(**changes):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    model = params["models"]["cnn"]
    params["backbones"] = {}
    params["models"] = {name: model | {"seed": n} for n, name in enumerate("abc")}
    params["models"] |= {"better": model | {"learning_rate": 0.01, "dropout": 0.5}}
    params["models"] |= {"similar": model | {"class_weights": "balanced"}}
    params["ensembles"] = {"both": {"models": ["a", "better"], "weights": "equal"}}
    params["evaluate"] |= {"partition": "val", "n_resamples": 200}
    params["calibrate"]["decision"] = "prior_adjusted"
    for section, values in changes.items():
        params[section] = params[section] | values
    return parse_params(yaml.safe_dump(params), source="params.yaml")


def predict(skill):
    wrong = RNG.random(len(LABELS)) > skill
    return certain(np.where(wrong, RNG.integers(0, 7, len(LABELS)), LABELS))


def write(model, probabilities):
    ids = [f"{row:04}" for row in range(len(LABELS))]
    table = pd.DataFrame({"image_id": ids, "partition": "val", "label": LABELS})
    table[list(PROBABILITIES)] = probabilities
    decoy = table.head(5).assign(partition="test", image_id=[f"t{row}" for row in range(5)])
    table = pd.concat([decoy, table])
    files = {
        f"predictions/study/{model}.csv": table.to_csv(index=False),
        f"evaluation/study/{model}/images.csv": table[5:][["image_id"]]
        .assign(unit=ids).to_csv(index=False),
        f"evaluation/study/{model}/details.json": json.dumps(
            {"decision": {"rule": "prior_adjusted", "exponent": 0.5}}
        ),
        f"evaluation/calibration/{model}.json": json.dumps(
            {"temperature": None, "decision": {"exponent": 0.5, "priors": PRIORS}}
        ),
    }  # fmt: skip
    for name, text in files.items():
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def predictions():
    made = {name: predict(skill) for name, skill in SKILLS.items()}
    return made | {"both": (made["a"] + made["better"]) / 2}


@pytest.fixture
def asked(tmp_path, monkeypatch, predictions):
    """The predictions of all models, and the list of what DVC is asked to do.

    With other views, every model is as good as `better`.
    """
    monkeypatch.chdir(tmp_path)
    asked = []
    for name, probabilities in predictions.items():
        write(name, probabilities)

    def run_experiment(name, changes, *stages):
        assert stages == ("calibrate@a", "calibrate@b", "calibrate@c")
        asked.append((name, changes))
        for model in "abc":
            write(model, predictions["better"])

    @contextmanager
    def restored(*stages):
        yield
        assert stages == ("calibrate@a", "calibrate@b", "calibrate@c")
        asked.append("restored")

    monkeypatch.setattr(ablation, "dvc", lambda *command: asked.append(command))
    monkeypatch.setattr(ablation, "run_experiment", run_experiment)
    monkeypatch.setattr(ablation, "restored", restored)
    return asked


def test_models_that_differ_only_in_their_seed_are_runs_of_one():
    assert ablation.group_runs(make_params()) == [["a", "b", "c"], ["better"], ["similar"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate": {"partition": "test"}}, "evaluate.partition is test, but an ablation"),
        ({"models": {"b": None, "c": None}}, "no two models differ in nothing but seed"),
    ],
)
def test_a_study_without_a_base_or_on_test_images_is_refused(changes, message):
    params = make_params(**{k: v for k, v in changes.items() if k != "models"})
    for name in changes.get("models", {}):
        del params.models[name]
    with pytest.raises(ValueError, match=message):
        ablation.group_runs(params)


def test_every_model_is_held_against_the_mean_and_the_spread_of_the_base(asked, predictions):
    table = ablation.compare_all(make_params()).set_index(["change", "measure"])
    assert list(dict.fromkeys(table.index.get_level_values("change"))) == [
        "",
        "learning_rate: 0.01, dropout: 0.5",
        "class_weights: balanced",
        "ensemble of a, better; weights: equal",
        "calibrate.decision: prior_adjusted",
        "predict.tta: flips",
        "predict.tta: dihedral",
    ]
    scores = {
        "accuracy": lambda p: accuracy_score(LABELS, p.argmax(axis=1)),
        "balanced_accuracy": lambda p: balanced_accuracy_score(LABELS, p.argmax(axis=1)),
        "roc_auc_macro": lambda p: roc_auc_score(LABELS, p, multi_class="ovr"),
    }
    better, similar = "learning_rate: 0.01, dropout: 0.5", "class_weights: balanced"
    for measure, score in scores.items():
        base = [score(predictions[name]) for name in "abc"]
        found = table.loc[("", measure)]
        assert [found["value"], found["spread"]] == pytest.approx(
            [np.mean(base), np.std(base, ddof=1)]
        )
        noise = t.ppf(0.975, 2) * np.std(base, ddof=1) * np.sqrt(1 + 1 / 3)
        for change, model in {better: "better", similar: "similar"}.items():
            row = table.loc[(change, measure)]
            assert row["difference"] == pytest.approx(score(predictions[model]) - np.mean(base))
            assert row["noise"] == pytest.approx(noise)
            assert row["low"] < row["difference"] < row["high"]
        # The views' noise is nil: they are of the same trainings.
        row = table.loc[("predict.tta: flips", measure)]
        assert row["difference"] == pytest.approx(score(predictions["better"]) - np.mean(base))
        assert (row["noise"], row["real"]) == (0, True)
    assert table.loc[(better, "accuracy"), "real"]
    assert not table.loc[(similar, "accuracy"), "real"]
    assert asked == [
        ("repro",),
        ("ablation-demo-tta-flips", {"predict.tta": "flips"}),
        ("ablation-demo-tta-dihedral", {"predict.tta": "dihedral"}),
        "restored",
    ]


def test_the_rule_predicts_by_the_priors_and_has_no_roc_auc(asked, predictions):
    table = ablation.compare_all(make_params()).set_index(["change", "measure"])
    rows = table.loc["calibrate.decision: prior_adjusted"]
    assert list(rows.index) == ["accuracy", "balanced_accuracy"]
    priors = np.array(list(PRIORS.values()))
    expected = [
        accuracy_score(LABELS, (predictions[n] / priors**0.5).argmax(axis=1)) for n in "abc"
    ]
    assert rows.loc["accuracy", "value"] == pytest.approx(np.mean(expected))


def test_a_difference_within_the_noise_of_seeds_is_not_real(asked, predictions):
    # The images alone would say that `better` is better; the base's runs differ as much.
    for name, model in {"b": "better", "c": "similar"}.items():
        write(name, predictions[model])
    row = ablation.compare_all(make_params()).set_index(["change", "measure"]).loc[
        ("learning_rate: 0.01, dropout: 0.5", "accuracy")
    ]  # fmt: skip
    assert row["low"] > 0
    assert row["noise"] > row["difference"]
    assert not row["real"]


def test_real_differences_are_bold(asked):
    params = make_params()
    text = ablation.to_markdown(ablation.compare_all(params), params)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert " ± " in lines["base"]
    assert "| **+0.1" in lines["learning_rate: 0.01, dropout: 0.5"]
    assert "**" not in lines["class_weights: balanced"]
    assert lines["calibrate.decision: prior_adjusted"].rstrip(" |").endswith("–")
    assert "(95 %) over images" in text
