"""Stages `features`, `train` and `predict` of models with `monitor: test`, by their own `main`."""

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from scipy import sparse
from sklearn.metrics import accuracy_score, log_loss
from stage_commands import command, run

from lesions.sampling.mixing import save_mixing

MODELS = {"cnn": "images.npy", "vgg16": "features/vgg16"}
PARTITION = np.repeat(["train", "val", "test"], [24, 8, 12])


def write_study(folder, monitor):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["classes"] = {"codes": ["nv", "mel"], "names": {"nv": "n", "mel": "m"}, "malignant": []}
    params["models"] = {name: params["models"][name] for name in MODELS}
    params["backbones"] = {"vgg16": params["backbones"]["vgg16"]}
    params["models"]["cnn"] |= {"filters": [2], "metadata": ["sex"]}
    for model in params["models"].values():
        model |= {"dense_units": [4], "epochs": 2, "batch_size": 8, "keep_epoch": "last"} | monitor
    params["resize"]["pixels"] = 32
    study, rng, n_images = folder / "data/sets/study", np.random.default_rng(0), len(PARTITION)
    study.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    ids = [f"{row:03}" for row in range(n_images)]
    table = {"image_id": ids, "lesion_id": ids, "dx_type": "histo", "dx": "nv", "age": None}
    table["image_path"] = [f"{row}.png" for row in ids]
    labels = pd.DataFrame(table).assign(sex=["male", "female"] * (n_images // 2), localization="")
    labels["label"] = rng.integers(0, 2, n_images)
    labels.to_csv(study / "labels.csv", index=False)
    pd.DataFrame({"image_id": ids, "partition": PARTITION}).to_csv(
        study / "partitions.csv", index=False
    )
    np.save(study / "images.npy", rng.integers(0, 256, (n_images, 32, 32, 3), np.uint8))
    mixing = sparse.identity(24, np.float32, format="csr")
    save_mixing(study / "mixing.npz", mixing, labels["label"][:24].to_numpy(np.uint8))


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study, monitored and not."""
    made = {}
    for name, monitor in {"watched": {"monitor": "test"}, "plain": {}}.items():
        made[name] = tmp_path_factory.mktemp(name)
        write_study(made[name], monitor)
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
