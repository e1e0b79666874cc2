"""Stages `train` and `predict` of models that read photographs, by their own `main`."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from scipy import sparse
from stage_commands import command, run, try_to_run

from lesions.imaging.images import resize_images
from lesions.inference.predict import predict_images
from lesions.networks.saving import load_network
from lesions.sampling.mixing import save_mixing

N_IMAGES = 40
RESIZE = {"interpolation": "area", "crop": "square", "decode": "reduced"}
STUDY = "data/sets/study"
MODELS = {  # inputs, and what differs from one CNN
    "stored": ("images.npy", {"input_pixels": 32}),
    "same": ("raw", {"input_pixels": 32}),
    "large": ("raw", {"input_pixels": 48, "rows": "train", "augment": "dermatoscopy"}),
}


def train(name):
    return command("train", key=name, item_inputs=MODELS[name][0])


def predict(name):
    return command("predict", item_set="study", item_model=name)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of JPEGs that are stored at 32 px, with three models."""
    folder = tmp_path_factory.mktemp("study")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["classes"] = {"codes": ["nv", "mel"], "names": {"nv": "n", "mel": "m"}, "malignant": []}
    params["resize"], params["backbones"] = RESIZE | {"pixels": 32}, {}
    cnn = params["models"]["cnn"] | {"filters": [2], "dense_units": [4], "epochs": 2}
    params["models"] = {
        name: cnn | {"inputs": inputs} | changes for name, (inputs, changes) in MODELS.items()
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / STUDY / "raw/photographs").mkdir(parents=True)
    paths, rng = [f"photographs/{row:03}.jpg" for row in range(N_IMAGES)], np.random.default_rng(0)
    for path in paths:
        coarse = rng.integers(0, 256, (9, 12, 3), np.uint8)
        cv2.imwrite(str(folder / STUDY / "raw" / path), cv2.resize(coarse, (240, 180)))
    labels = pd.DataFrame({"image_id": [f"{row:03}" for row in range(N_IMAGES)]})
    labels = labels.assign(image_path=paths, label=np.arange(N_IMAGES) % 2)
    labels.to_csv(folder / STUDY / "labels.csv", index=False)
    # Training rows are not the first ones, so that rows of images are told from those of training.
    partition = np.repeat(["val", "train", "test"], [8, 24, 8])
    partitions = labels[["image_id"]].assign(partition=partition)
    partitions.to_csv(folder / STUDY / "partitions.csv", index=False)
    identity = sparse.identity(24, np.float32, format="csr")
    means = sparse.csr_matrix(([0.5] * 4, ([0, 0, 1, 1], [0, 2, 4, 6])), (2, 24), np.float32)
    mixed_labels = [*labels["label"][8:32], 0, 0]
    mixing = sparse.vstack([identity, means], format="csr")
    save_mixing(folder / STUDY / "mixing.npz", mixing, np.array(mixed_labels, np.uint8))
    stages = [stage(name) for name in MODELS for stage in (train, predict)]
    run(folder, command("resize", key="study"), *stages)
    return folder


def test_at_the_size_of_the_stored_array_photographs_train_the_same_network(study):
    """Resampled rows, which are means of photographs, among them."""
    for file in ("plots/curves/{}.csv", "predictions/study/{}.csv"):
        same, stored = (study / file.format(name) for name in ("same", "stored"))
        assert same.read_bytes() == stored.read_bytes()
    # Layers of networks that are built in one process differ by their names.
    networks = [load_network(study / f"models/{name}.keras") for name in ("same", "stored")]
    for same, stored in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(same, stored)


def test_a_network_is_built_and_predicts_at_its_own_size(study):
    network = load_network(study / "models/large.keras")
    assert network.input_shape == (None, 48, 48, 3)
    assert not any(layer.name == "reduce" for layer in network.layers)
    predicted = pd.read_csv(study / "predictions/study/large.csv", dtype={"image_id": str})
    labels = pd.read_csv(study / STUDY / "labels.csv", dtype=str)
    held_out = [*range(8), *range(32, 40)]
    assert predicted["image_id"].tolist() == labels["image_id"][held_out].tolist()
    images = np.empty((16, 48, 48, 3), np.uint8)
    files = [study / STUDY / "raw" / path for path in labels["image_path"][held_out]]
    resize_images(files, images, pixels=48, **RESIZE)
    expected = predict_images(network, images, codes=["nv", "mel"])
    # Six decimals are stored.
    np.testing.assert_allclose(predicted[["p_nv", "p_mel"]], expected, atol=2e-6)
    assert json.loads((study / "predictions/study/large.json").read_text(encoding="utf-8"))


def test_a_stopped_training_on_photographs_is_resumed_with_its_settings_alone(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "study")
    curve, model = folder / "plots/curves/large.csv", folder / "models/large.keras"
    expected = load_network(model).get_weights()
    model.unlink()
    curve.unlink()
    curve.mkdir()  # cannot be written: the training ends after its first epoch
    assert try_to_run(folder, train("large")).returncode != 0
    shutil.copytree(folder / ".checkpoints", folder / "kept")
    curve.rmdir()
    assert "resuming after epoch 1 of 2" in run(folder, train("large"))
    for resumed, unbroken in zip(load_network(model).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(resumed, unbroken)
    assert not (folder / ".checkpoints/large").exists()
    (folder / "kept").rename(folder / ".checkpoints")
    half_done = list((folder / ".checkpoints/large").iterdir())
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["resize"]["interpolation"] = "linear"
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    assert "resuming" not in run(folder, train("large"))
    assert list((folder / ".checkpoints/large").iterdir()) == half_done
