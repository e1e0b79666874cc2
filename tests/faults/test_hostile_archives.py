"""Models, weights and arrays of unknown origin run no code and read no other file."""

import importlib.metadata
import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from cloned import ROOT

from lesions.networks.backend import keras, tf
from lesions.networks.saving import load_network, save_network
from lesions.sampling.mixing import load_mixing
from lesions.training.checkpoint import load_checkpoint
from lesions.training.loop import Progress

PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    if "==" in line
)


def build():
    inputs = keras.Input((3,), name="values")
    return keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs), name="network")


@pytest.fixture
def archive(tmp_path):
    """Return a function that rewrites a valid archive with changes and returns its path."""
    save_network(build(), tmp_path / "valid.keras")

    def write(change=None, weights=None, extra=()):
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(tmp_path / "valid.keras") as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json" and change is not None:
                    config = json.loads(content)
                    change(config["config"]["layers"])
                    content = json.dumps(config).encode()
                if name.endswith(".h5") and weights is not None:
                    content = weights
                new.writestr(name, content)
            for name, content in dict(extra).items():
                new.writestr(name, content)
        return path

    return write


class Touch:
    """An object whose unpickling creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def replaced(layer):
    """Return a change that replaces the dense layer by another one."""

    def change(layers):
        kept = {key: layers[1][key] for key in ("inbound_nodes", "name") if key in layers[1]}
        layers[1] = {"module": "keras.layers", "registered_name": None} | layer | kept

    return change


def configured(**settings):
    return lambda layers: layers[1]["config"].update(settings)


def lambda_layer(function):
    config = {"name": "dense", "function": function, "arguments": {}}
    return replaced({"class_name": "Lambda", "config": config})


def call(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def instance(module, name, config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def test_an_archive_that_is_rewritten_without_a_change_is_loaded(archive):
    assert load_network(archive(lambda layers: None)).count_params() == 3 * 2 + 2


CODE = ["4wEAAAAAAAAAAAAAAAIAAAADAAAA8wYAAACXAHwAUwCpAKkB2gF4cwEAAAAg", None, None]
HOSTILE = {
    "a Lambda layer of bytecode": lambda_layer(
        instance("builtins", "__lambda__", {"code": CODE[0]})
    ),
    "a Lambda layer of get_file": lambda_layer(call("keras.utils", "get_file")),
    "a Lambda layer of os.system": lambda_layer(call("os", "system")),
    "a Lambda layer of eval": lambda_layer(call("builtins", "eval")),
    "a layer that is a saved TensorFlow function": replaced(
        {"class_name": "TFSMLayer", "config": {"name": "dense", "filepath": "SAVED"}}
    ),
    "a layer of another module": replaced(
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "TOUCHED"]}}
    ),
    "a layer that opens a file": replaced(
        {"module": "builtins", "class_name": "open", "config": {"file": "TOUCHED", "mode": "w"}}
    ),
    "a layer that is a path": replaced(
        {"module": "pathlib", "class_name": "Path", "config": {"args": "TOUCHED"}}
    ),
    "an unknown layer": replaced({"class_name": "Nothing", "config": {"name": "dense"}}),
    "an activation that is a function of another module": configured(
        activation=call("os", "system")
    ),
    "an activation that downloads a file": configured(activation=call("keras.utils", "get_file")),
    "an activation that disables safe mode": configured(
        activation=call("keras.config", "enable_unsafe_deserialization")
    ),
    "an activation that is a lambda": configured(
        activation=instance("builtins", "__lambda__", {"code": CODE[0]})
    ),
    "an initializer that is a Popen": configured(
        kernel_initializer=instance("subprocess", "Popen", {"args": ["touch", "TOUCHED"]})
    ),
    "a regulariser that is numpy.load": configured(
        kernel_regularizer=instance("numpy", "load", {"file": "PICKLE", "allow_pickle": True})
    ),
    "a vocabulary from a file": replaced(
        {"class_name": "StringLookup", "config": {"name": "dense", "vocabulary": "SECRET"}}
    ),
}


def with_paths(change, folder):
    """Return the change with paths in `folder` for the words in capitals."""
    paths = {name: str(folder / name) for name in ("TOUCHED", "SAVED", "SECRET", "PICKLE")}

    def change_and_insert_paths(layers):
        change(layers)
        text = json.dumps(layers)
        for name, path in paths.items():
            text = text.replace(f'"{name}"', json.dumps(path))
        layers[:] = json.loads(text)

    return change_and_insert_paths


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_would_run_code_or_read_another_file_is_refused(archive, tmp_path, change):
    (tmp_path / "SECRET").write_text("secret\n", encoding="utf-8")
    (tmp_path / "PICKLE").write_bytes(pickle.dumps(Touch(tmp_path / "TOUCHED")))
    module = tf.Module()
    module.call = tf.function(lambda x: x, input_signature=[tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, str(tmp_path / "SAVED"))
    path = archive(with_paths(change, tmp_path))
    with pytest.raises((ValueError, TypeError)) as refused:
        load_network(path)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "TOUCHED").exists()
    assert not Path("TOUCHED").exists()


def test_keras_safe_mode_is_not_disabled():
    assert keras.src.saving.serialization_lib.in_safe_mode() is not False


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-lesions", "a/../../outside"])
def test_a_member_whose_path_leads_out_of_the_archive_is_not_written(archive, tmp_path, name):
    path = archive(extra={name: "x"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.warns(UserWarning, match="Skipping invalid path during archive extraction"):
        load_network(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/outside-of-lesions").exists()


def weights_with(change):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for empty in ("vars", "layers/input_layer/vars"):
            file.create_group(empty)
        values = file.create_group("layers/dense/vars")
        change(values)
    return stream.getvalue()


def external_link(values):
    values["0"] = h5py.ExternalLink("SECRET.h5", "/secret")
    values.create_dataset("1", data=np.zeros(2, np.float32))


def external_storage(values):
    values.create_dataset("0", (3, 2), "float32", external=[("SECRET", 0, 24)])
    values.create_dataset("1", data=np.zeros(2, np.float32))


def another_shape(values):
    values.create_dataset("0", data=np.zeros((9, 9), np.float32))
    values.create_dataset("1", data=np.zeros(2, np.float32))


def no_weights(values):
    del values


WEIGHTS = [external_link, external_storage, another_shape, no_weights]


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # then it is refused
@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_weights_in_another_file_or_of_another_shape_are_refused(
    archive, tmp_path, monkeypatch, change
):
    monkeypatch.chdir(tmp_path)
    Path("SECRET").write_bytes(np.full(6, 7, np.float32).tobytes())
    with h5py.File("SECRET.h5", "w") as file:
        file["secret"] = np.full((3, 2), 7, np.float32)
    with pytest.raises((ValueError, OSError, KeyError)):
        load_network(archive(weights=weights_with(change)))


@pytest.mark.parametrize("kept", [0, 1, 22, 0.3, 0.7, 0.99])  # bytes, or their share
def test_a_truncated_archive_is_refused(archive, kept):
    path = archive()
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
        load_network(path)


def test_only_the_weights_of_an_h5_file_are_read(tmp_path):
    """As of `backbones.<name>.weights`: the network's description in the file is ignored."""
    file = tmp_path / "hostile.weights.h5"
    saved = build()
    saved.save_weights(file)
    hostile = instance("subprocess", "Popen", {"args": ["touch", str(tmp_path / "TOUCHED")]})
    with h5py.File(file, "a") as opened:
        opened.attrs["model_config"] = json.dumps(hostile)
        opened.attrs["pickled"] = np.void(pickle.dumps(Touch(tmp_path / "TOUCHED")))
    network = build()
    network.load_weights(file)
    np.testing.assert_array_equal(network.get_weights()[0], saved.get_weights()[0])
    assert not (tmp_path / "TOUCHED").exists()


# Arrays


@pytest.fixture
def objects(tmp_path):
    """An array of one object whose unpickling would create a file."""
    array = np.empty(1, object)
    array[0] = Touch(tmp_path / "TOUCHED")
    return array


def test_an_array_of_objects_is_refused(objects, tmp_path):
    np.save(tmp_path / "images.npy", objects, allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        np.load(tmp_path / "images.npy")
    with pytest.raises(ValueError, match="Python objects"):
        np.load(tmp_path / "images.npy", mmap_mode="r")
    assert not (tmp_path / "TOUCHED").exists()


def test_a_bare_pickle_is_refused(tmp_path):
    (tmp_path / "images.npy").write_bytes(pickle.dumps(Touch(tmp_path / "TOUCHED")))
    for mode in (None, "r"):
        with pytest.raises(ValueError, match=r"pickle|magic"):
            np.load(tmp_path / "images.npy", mmap_mode=mode)
    assert not (tmp_path / "TOUCHED").exists()


def test_a_mixing_matrix_of_objects_is_refused(objects, tmp_path):
    np.savez(
        tmp_path / "mixing.npz",
        format=np.array(b"csr"),
        shape=np.array([1, 1]),
        indices=np.array([0]),
        indptr=np.array([0, 1]),
        data=objects,
        labels=objects,
    )
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_mixing(tmp_path / "mixing.npz")
    assert not (tmp_path / "TOUCHED").exists()


@pytest.mark.parametrize("name", ["record", "network_00000", "optimizer_00000"])
def test_a_checkpoint_of_objects_is_refused(objects, tmp_path, name):
    network = build()
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(network.trainable_variables)
    record = np.array(json.dumps({"history": [], "best_epoch": 0}))
    arrays = {"record": record} | {
        f"network_{index:05}": value for index, value in enumerate(network.get_weights())
    }
    arrays |= {
        f"optimizer_{index:05}": np.asarray(value)
        for index, value in enumerate(optimizer.variables)
    }
    np.savez(tmp_path / "checkpoint.npz", **arrays | {name: objects})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_checkpoint(tmp_path / "checkpoint.npz", network, optimizer, Progress())
    assert not (tmp_path / "TOUCHED").exists()


MODULES = [
    file for name in ("src", "stages", "tools") for file in sorted((ROOT / name).rglob("*.py"))
]
COMMENT = re.compile(r"  # .*")
UNSAFE = re.compile(
    r"\bpickle\b|\bdill\b|\bjoblib\b|\bmarshal\b|\bshelve\b|allow_pickle(?!=False)|safe_mode=False|"
    r"enable_unsafe_deserialization|torch\.load|yaml\.(unsafe_load|full_load|UnsafeLoader)|"
    r"(?<![\w.])(eval|exec)\("
)


def test_no_module_of_the_project_unpickles():
    assert len(MODULES) > 90
    codes = {file: COMMENT.sub("", file.read_text(encoding="utf-8")) for file in MODULES}
    # Weights in torch's format are a pickle; tests/networks/test_torch_weights.py tries others.
    restricted = ROOT / "src/lesions/networks/weights/torch_format.py"
    assert [file for file, code in codes.items() if UNSAFE.search(code)] == [restricted]


def test_the_pattern_finds_what_unpickles():
    for text in ("import pickle", "np.load(a, allow_pickle=True)", "x = eval(y)", "joblib.load(f)"):
        assert UNSAFE.search(text)


@pytest.mark.parametrize("version", [PINNED["keras"], importlib.metadata.version("keras")])
def test_keras_has_the_fixes_of_the_known_ways_around_safe_mode(version):
    # CVE-2026-1462, TFSMLayer: fixed in 3.13.2 and 3.14.
    assert tuple(map(int, version.split(".")[:2])) >= (3, 14)
