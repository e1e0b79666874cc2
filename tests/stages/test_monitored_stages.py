"""Stages `features`, `train` and `predict` of models with `monitor: test`, by their own `main`."""

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss
from stage_commands import MODELS, command, run, write_training_inputs


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study, monitored and not."""
    made = {}
    for name, monitor in {"watched": {"monitor": "test"}, "plain": {}}.items():
        made[name] = tmp_path_factory.mktemp(name)
        write_training_inputs(made[name], **monitor)
        commands = [command("features", key="vgg16")]
        for model, inputs in MODELS.items():
            commands.append(command("train", key=model, item_inputs=inputs))
            commands.append(command("predict", item_model=model, item_set="study"))
        printed = run(made[name], *commands)
        assert ("test_loss" in printed) == (name == "watched")
    return made


@pytest.mark.parametrize("model", MODELS)
def test_the_network_and_its_curve_have_the_same_bytes_without_monitoring(studies, model):
    for file in (f"models/{model}.keras", f"plots/curves/{model}.csv"):
        watched, plain = ((studies[name] / file).read_bytes() for name in ("watched", "plain"))
        assert watched == plain, file
    header = (studies["plain"] / f"plots/monitored/{model}.csv").read_text(encoding="utf-8")
    assert header == "epoch,test_accuracy,test_loss\n"


@pytest.mark.parametrize("model", MODELS)
def test_the_last_scores_are_those_of_what_stage_predict_says_of_the_test_images(studies, model):
    monitored = pd.read_csv(studies["watched"] / f"plots/monitored/{model}.csv")
    assert monitored["epoch"].tolist() == [1, 2]
    predictions = pd.read_csv(studies["watched"] / f"predictions/study/{model}.csv")
    predictions = predictions.query("partition == 'test'")
    assert len(predictions) == 12
    probabilities = predictions[["p_nv", "p_mel"]].to_numpy()
    accuracy = accuracy_score(predictions["label"], probabilities.argmax(axis=1))
    assert monitored["test_accuracy"][1] == pytest.approx(accuracy, rel=1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    loss = log_loss(predictions["label"], probabilities)
    assert monitored["test_loss"][1] == pytest.approx(loss, rel=1e-4)
