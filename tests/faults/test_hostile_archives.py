"""Networks, weights and arrays from elsewhere: nothing in them is run, no file of ours is read."""

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

from lesions.archive import load_network, save_network
from lesions.mixing import load_mixing
from lesions.resume import load_state
from lesions.runtime import keras, tf
from lesions.training import Progress

ROOT = Path(__file__).parents[2]
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
    """Give a function that writes a good archive with other contents, and gives its path."""
    save_network(build(), tmp_path / "good.keras")

    def write(change=None, weights=None, more=()):
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(tmp_path / "good.keras") as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json" and change is not None:
                    config = json.loads(content)
                    change(config["config"]["layers"])
                    content = json.dumps(config).encode()
                if name.endswith(".h5") and weights is not None:
                    content = weights
                new.writestr(name, content)
            for name, content in dict(more).items():
                new.writestr(name, content)
        return path

    return write


class Touch:
    """An object whose unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def replaced(layer):
    """Put another layer in the place of the dense one."""

    def change(layers):
        kept = {key: layers[1][key] for key in ("inbound_nodes", "name") if key in layers[1]}
        layers[1] = {"module": "keras.layers", "registered_name": None} | layer | kept

    return change


def configured(**settings):
    return lambda layers: layers[1]["config"].update(settings)


def lambda_of(function):
    config = {"name": "dense", "function": function, "arguments": {}}
    return replaced({"class_name": "Lambda", "config": config})


def call(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def made(module, name, config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def test_an_archive_that_is_only_rewritten_is_loaded(archive):
    assert load_network(archive(lambda layers: None)).count_params() == 3 * 2 + 2


CODE = ["4wEAAAAAAAAAAAAAAAIAAAADAAAA8wYAAACXAHwAUwCpAKkB2gF4cwEAAAAg", None, None]
HOSTILE = {
    "a Lambda layer of bytecode": lambda_of(made("builtins", "__lambda__", {"code": CODE[0]})),
    "a Lambda layer of get_file": lambda_of(call("keras.utils", "get_file")),
    "a Lambda layer of os.system": lambda_of(call("os", "system")),
    "a Lambda layer of eval": lambda_of(call("builtins", "eval")),
    "a layer that is a saved TensorFlow function": replaced(
        {"class_name": "TFSMLayer", "config": {"name": "dense", "filepath": "SAVED"}}
    ),
    "a layer of another module": replaced(
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "TOUCHED"]}}
    ),
    "a layer that opens a file": replaced(
        {"module": "builtins", "class_name": "open", "config": {"file": "TOUCHED", "mode": "w"}}
    ),
    "a layer of a file's name": replaced(
        {"module": "pathlib", "class_name": "Path", "config": {"args": "TOUCHED"}}
    ),
    "a layer that nobody knows": replaced({"class_name": "Nothing", "config": {"name": "dense"}}),
    "an activation that is a function of another module": configured(
        activation=call("os", "system")
    ),
    "an activation that fetches a file": configured(activation=call("keras.utils", "get_file")),
    "an activation that turns safety off": configured(
        activation=call("keras.config", "enable_unsafe_deserialization")
    ),
    "an activation that is a lambda": configured(
        activation=made("builtins", "__lambda__", {"code": CODE[0]})
    ),
    "an initial value that is a Popen": configured(
        kernel_initializer=made("subprocess", "Popen", {"args": ["touch", "TOUCHED"]})
    ),
    "a regulariser that is a numpy loader": configured(
        kernel_regularizer=made("numpy", "load", {"file": "PICKLE", "allow_pickle": True})
    ),
    "a vocabulary from a file": replaced(
        {"class_name": "StringLookup", "config": {"name": "dense", "vocabulary": "SECRET"}}
    ),
}


def filled(change, folder):
    """Put real paths for the words in capitals."""
    places = {name: str(folder / name) for name in ("TOUCHED", "SAVED", "SECRET", "PICKLE")}

    def change_and_fill(layers):
        change(layers)
        text = json.dumps(layers)
        for name, path in places.items():
            text = text.replace(f'"{name}"', json.dumps(path))
        layers[:] = json.loads(text)

    return change_and_fill


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_would_run_or_read_something_else_is_refused(archive, tmp_path, change):
    (tmp_path / "SECRET").write_text("secret\n", encoding="utf-8")
    (tmp_path / "PICKLE").write_bytes(pickle.dumps(Touch(tmp_path / "TOUCHED")))
    module = tf.Module()
    module.call = tf.function(lambda x: x, input_signature=[tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, str(tmp_path / "SAVED"))
    path = archive(filled(change, tmp_path))
    with pytest.raises((ValueError, TypeError)) as refused:
        load_network(path)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "TOUCHED").exists()
    assert not Path("TOUCHED").exists()


def test_the_setting_that_would_allow_them_is_not_on():
    assert keras.src.saving.serialization_lib.in_safe_mode() is not False


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-lesions", "a/../../outside"])
def test_what_an_archive_holds_under_a_path_that_leads_out_is_written_nowhere(
    archive, tmp_path, name
):
    path = archive(more={name: "x"})
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


def nothing(values):
    del values


WEIGHTS = [external_link, external_storage, another_shape, nothing]


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # then it is refused
@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_weights_that_lie_elsewhere_or_do_not_fit_are_refused(
    archive, tmp_path, monkeypatch, change
):
    monkeypatch.chdir(tmp_path)
    Path("SECRET").write_bytes(np.full(6, 7, np.float32).tobytes())
    with h5py.File("SECRET.h5", "w") as file:
        file["secret"] = np.full((3, 2), 7, np.float32)
    with pytest.raises((ValueError, OSError, KeyError)):
        load_network(archive(weights=weights_with(change)))


@pytest.mark.parametrize("part", [0, 1, 22, 0.3, 0.7, 0.99])
def test_an_archive_cut_short_is_refused(archive, part):
    path = archive()
    content = path.read_bytes()
    path.write_bytes(content[: part if isinstance(part, int) else int(part * len(content))])
    with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
        load_network(path)


def test_an_h5_file_is_read_for_its_weights_alone(tmp_path):
    """As `backbone.weights` is: what a file says of the network around its weights is not read."""
    file = tmp_path / "whole.weights.h5"
    whole = build()
    whole.save_weights(file)
    hostile = made("subprocess", "Popen", {"args": ["touch", str(tmp_path / "TOUCHED")]})
    with h5py.File(file, "a") as opened:
        opened.attrs["model_config"] = json.dumps(hostile)
        opened.attrs["pickled"] = np.void(pickle.dumps(Touch(tmp_path / "TOUCHED")))
    network = build()
    network.load_weights(file)
    np.testing.assert_array_equal(network.get_weights()[0], whole.get_weights()[0])
    assert not (tmp_path / "TOUCHED").exists()


# Arrays


@pytest.fixture
def objects(tmp_path):
    """An array of objects, whose unpickling would make a file."""
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


@pytest.mark.parametrize("name", ["story", "network_00000", "optimizer_00000"])
def test_a_training_state_of_objects_is_refused(objects, tmp_path, name):
    network = build()
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(network.trainable_variables)
    story = np.array(json.dumps({"history": [], "best_epoch": 0}))
    arrays = {"story": story} | {
        f"network_{n:05}": value for n, value in enumerate(network.get_weights())
    }
    arrays |= {f"optimizer_{n:05}": np.asarray(v) for n, v in enumerate(optimizer.variables)}
    np.savez(tmp_path / "state.npz", **arrays | {name: objects})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_state(tmp_path / "state.npz", network, optimizer, Progress())
    assert not (tmp_path / "TOUCHED").exists()


CODES = [
    file for name in ("src", "stages", "tools") for file in sorted((ROOT / name).rglob("*.py"))
]
UNSAFE = re.compile(
    r"\bpickle\b|\bdill\b|\bjoblib\b|\bmarshal\b|\bshelve\b|allow_pickle(?!=False)|safe_mode=False|"
    r"enable_unsafe_deserialization|torch\.load|yaml\.(unsafe_load|full_load|UnsafeLoader)|"
    r"(?<![\w.])(eval|exec)\("
)


def test_no_code_of_ours_unpickles():
    assert len(CODES) > 90
    found = {file: UNSAFE.search(file.read_text(encoding="utf-8")) for file in CODES}
    assert not any(found.values()), found


def test_the_search_for_what_unpickles_finds_it():
    for text in ("import pickle", "np.load(a, allow_pickle=True)", "x = eval(y)", "joblib.load(f)"):
        assert UNSAFE.search(text)


@pytest.mark.parametrize("version", [PINNED["keras"], importlib.metadata.version("keras")])
def test_keras_is_one_in_which_the_known_ways_around_safe_mode_are_shut(version):
    # CVE-2026-1462, TFSMLayer: mended in 3.13.2 and in 3.14.
    assert tuple(map(int, version.split(".")[:2])) >= (3, 14)
