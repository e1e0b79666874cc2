import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_up_training import training_settings

from lesions.networks import cnn, dense
from lesions.networks.backend import keras
from lesions.networks.layers import join
from lesions.networks.saving import load_network, read_trained_on, save_network
from lesions.training.loop import train


def build():
    """Join a network of convolutions, as a backbone, and dense layers, as stage `train` does."""
    keras.utils.clear_session()  # names count up within a process
    keras.utils.set_random_seed(1)
    return join(build_convolutions(), build_head())


def build_convolutions():
    return cnn.build(
        pixels(), 6, input_pixels=4, filters=[2, 2], dense_units=[], dropout=0.3,
        batch_norm_momentum=0.9,
    )  # fmt: skip


def build_head():
    features = np.zeros((2, 6), np.float32)
    return dense.build(features, 7, standardize_features=False, dense_units=[4], dropout=0.3)


def pixels(n=5, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3)).astype(dtype)


@pytest.fixture
def network():
    return build()


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {member: archive.read(member.filename) for member in archive.infolist()}


def test_a_network_gives_the_same_bytes_in_another_process_at_another_time(network, tmp_path):
    save_network(network, tmp_path / "here.keras")
    # This file, run as a program, saves the same network. There objects lie at other addresses.
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": paths}
    command = [sys.executable, __file__, tmp_path / "there.keras"]
    subprocess.run(command, check=True, env=environment)
    assert (tmp_path / "here.keras").read_bytes() == (tmp_path / "there.keras").read_bytes()


def test_a_network_gives_the_same_bytes_whatever_the_ids_of_its_objects(tmp_path):
    # Keras gives a shared_object_id, Python's id(), to what a network may hold twice.
    for name in ("a", "b"):
        keep = [object() for _ in range(10**4)]  # the second network lies elsewhere in memory
        save_network(build(), tmp_path / f"{name}.keras")
    assert keep
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_shared_layers_stay_shared_and_others_apart(tmp_path):
    keras.utils.clear_session()
    inputs = keras.Input((3,))
    twice, once = keras.layers.Dense(3, name="twice"), keras.layers.Dense(3, name="once")
    network = keras.Model(inputs, once(twice(twice(inputs))))
    save_network(network, tmp_path / "a.keras")
    loaded = load_network(tmp_path / "a.keras")
    assert len(loaded.weights) == 4  # a kernel and a bias each
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(values), network(values), rtol=1e-6)


def test_the_archive_states_no_time_and_no_address(network, tmp_path):
    save_network(network, tmp_path / "a.keras")
    contents = members(tmp_path / "a.keras")
    assert {member.date_time for member in contents} == {(1980, 1, 1, 0, 0, 0)}
    texts = {m.filename: text for m, text in contents.items() if m.filename.endswith(".json")}
    assert json.loads(texts["metadata.json"])["date_saved"] == "1980-01-01@00:00:00"

    def ids(node):
        if isinstance(node, dict):
            own = [node["shared_object_id"]] if "shared_object_id" in node else []
            return own + [found for value in node.values() for found in ids(value)]
        return [found for item in node for found in ids(item)] if isinstance(node, list) else []

    # Numbered as they appear: each new one is the next.
    seen = list(dict.fromkeys(ids(json.loads(texts["config.json"]))))
    assert seen == list(range(len(seen)))


def test_the_folder_of_an_archive_is_made(network, tmp_path):
    save_network(network, tmp_path / "new" / "folder" / "a.keras")
    assert (tmp_path / "new" / "folder" / "a.keras").is_file()


def test_a_loaded_network_predicts_the_same_in_safe_mode(network, tmp_path):
    network.get_layer("conv2d").set_weights(
        [np.random.default_rng(0).normal(size=(3, 3, 3, 2)), np.ones(2)]
    )
    save_network(network, tmp_path / "a.keras")
    loaded = load_network(tmp_path / "a.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(pixels(dtype=np.float32)),
        network.predict_on_batch(pixels(dtype=np.float32)),
    )
    assert not loaded.compiled


def test_pixels_may_be_integers(network, tmp_path):
    save_network(network, tmp_path / "a.keras")
    loaded = load_network(tmp_path / "a.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(pixels()), loaded.predict_on_batch(pixels(dtype=np.float32))
    )


def test_a_network_that_is_called_does_not_drop_out(network):
    # Keras' Resizing, which this network has, would turn dropout on unless told otherwise.
    expected = network.predict_on_batch(pixels())
    for values in (pixels(), pixels(dtype=np.float32)):
        np.testing.assert_allclose(network(values), expected, rtol=1e-5)


def test_code_in_an_archive_is_not_run(tmp_path):
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Lambda(lambda values: values + 1)(inputs))
    save_network(network, tmp_path / "a.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        load_network(tmp_path / "a.keras")


def test_a_trained_network_holds_no_optimizer_once_it_is_joined(tmp_path):
    head = build_head()
    inputs = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    train(
        head,
        inputs.__getitem__,
        np.arange(len(inputs)),
        validation=None,
        seed=1,
        checkpoint=tmp_path / "checkpoint.npz",
        on_epoch=lambda history: None,
        **training_settings(batch_size=5),
    )
    save_network(join(build_convolutions(), head), tmp_path / "a.keras")
    contents = {m.filename: content for m, content in members(tmp_path / "a.keras").items()}
    assert b"optimizer" not in contents["model.weights.h5"]
    assert b"Adam" not in contents["config.json"]


def test_the_machine_that_trained_a_network_is_kept_in_its_archive(network, tmp_path):
    save_network(network, tmp_path / "a.keras", trained_on={"cpu": "one"})
    save_network(network, tmp_path / "b.keras")
    assert read_trained_on(tmp_path / "a.keras") == {"cpu": "one"}
    assert read_trained_on(tmp_path / "b.keras") == {}
    weights = load_network(tmp_path / "a.keras").get_weights()
    for found, expected in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


if __name__ == "__main__":
    save_network(build(), Path(sys.argv[1]))
