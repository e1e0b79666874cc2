"""Stages `train` and `predict` of a model that reads metadata, by their own `main`."""

import os

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from scipy import sparse
from stage_commands import command, run

from lesions.networks.saving import read_encoding
from lesions.sampling.mixing import save_mixing

N_IMAGES = 40
PLACES = ["back", "face", "ear"]  # of the training images; `foot` only of others


def write_set(folder, partition, **columns):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    ids = [f"{row:03}" for row in range(N_IMAGES)]
    table = {"image_id": ids, "lesion_id": ids, "image_path": "unread.jpg"}
    table |= {"dx_type": "histo", "dx": "nv"} | columns
    labels = pd.DataFrame(table)
    labels["label"] = np.arange(N_IMAGES) % 2
    labels.to_csv(folder / "labels.csv", index=False)
    np.save(folder / "images.npy", rng.integers(0, 256, (N_IMAGES, 32, 32, 3), np.uint8))
    partitions = pd.DataFrame({"image_id": ids, "partition": partition})
    partitions.to_csv(folder / "partitions.csv", index=False)
    return labels


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose `study` has metadata, and two sets with the same photographs and none."""
    folder = tmp_path_factory.mktemp("study")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["classes"] = {"codes": ["nv", "mel"], "names": {"nv": "n", "mel": "m"}, "malignant": []}
    params["models"] = {"cnn": params["models"]["cnn"]}
    params["models"]["cnn"] |= {"filters": [2], "dense_units": [4], "epochs": 1}
    params["models"]["cnn"]["metadata"] = ["localization", "age", "sex"]
    params["backbones"], params["resize"]["pixels"] = {}, 32
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    partition = np.repeat(["train", "val", "test"], [24, 8, 8])
    columns = {
        "age": [80.0, 35.0, None, 50.0] * 10,
        "sex": ["male", "female", "unknown", None] * 10,
        "localization": np.where(partition == "train", [*PLACES, "unknown"] * 10, "foot"),
    }
    sets = folder / "data/sets"
    labels = write_set(sets / "study", partition, **columns)
    write_set(sets / "empty", "test", **dict.fromkeys(columns, None))
    write_set(sets / "lacking", "test")
    identity = sparse.identity(24, np.float32, format="csr")
    # Two rows are means of two images of label 0.
    means = sparse.csr_matrix(([0.5] * 4, ([0, 0, 1, 1], [0, 2, 4, 6])), (2, 24), np.float32)
    mixing = sparse.vstack([identity, means], format="csr")
    mixed = [*labels["label"][:24], 0, 0]
    save_mixing(sets / "study/mixing.npz", mixing, np.array(mixed, np.uint8))
    for made in ("models", "plots/curves", *(f"predictions/{name}" for name in os.listdir(sets))):
        (folder / made).mkdir(parents=True)
    names = {"item_model": "cnn"}
    run(
        folder,
        command("train", key="cnn", item_inputs="images.npy"),
        *(command("predict", item_set=name, **names) for name in ("study", "empty", "lacking")),
    )
    return folder


def read_predictions(study, name):
    return pd.read_csv(study / f"predictions/{name}/cnn.csv").set_index("image_id")


def test_the_network_keeps_the_words_of_the_training_images(study):
    assert read_encoding(study / "models/cnn.keras") == {
        "age": [],
        "sex": ["female", "male"],
        "localization": sorted(PLACES),
    }


def test_images_with_metadata_and_without_are_predicted(study):
    tables = [read_predictions(study, name) for name in ("study", "empty", "lacking")]
    known, empty, lacking = tables
    for table in tables:
        np.testing.assert_allclose(table[["p_nv", "p_mel"]].sum(axis=1), 1, atol=2e-6)
    assert len(known) == 16
    assert len(empty) == len(lacking) == N_IMAGES
    pd.testing.assert_frame_equal(empty, lacking)
    # The photographs are the same; rows 2 and 6 of every 8 have neither age nor sex, and no row
    # that is predicted has a localization that a training image has.
    moved = (known["p_nv"] - empty.loc[known.index, "p_nv"]).abs()
    is_known = known.index.to_numpy() % 4 != 2
    assert (moved[is_known] > 0).all()
    assert (moved[~is_known] <= 1e-6).all()
