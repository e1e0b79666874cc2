import os
import sys
import types

import numpy as np
import pytest

from lesions.training import checkpoint
from lesions.training.checkpoint import (
    load_checkpoint,
    refuse_changed,
    save_checkpoint,
    training_key,
)
from lesions.training.loop import Progress


class Variable:
    def __init__(self, value):
        self.value = np.asarray(value)

    def assign(self, value):
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.value, dtype)


class Network:
    """What of a Keras model matters here."""

    def __init__(self, weights):
        self.weights = [np.asarray(weight) for weight in weights]

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


@pytest.fixture
def network():
    # More than ten arrays, so that their order must not be that of their names' first digits.
    return Network([np.full((2, 3), n, np.float32) for n in range(12)])


def optimizer_of(values):
    return types.SimpleNamespace(variables=[Variable(value) for value in values])


@pytest.fixture
def optimizer():
    return optimizer_of([np.int64(7), [0.5, 1.5]])


@pytest.fixture
def progress():
    history = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    return Progress(history=history, best_epoch=1, best_weights=[np.arange(3), np.eye(2)])


def blank():
    return Network([np.zeros((2, 3), np.float32)] * 12), optimizer_of([np.int64(0), [0.0, 0.0]])


# Checkpoints


def test_a_checkpoint_is_read_back_to_the_last_bit(network, optimizer, progress, tmp_path):
    save_checkpoint(tmp_path / "new" / "checkpoint.npz", network, optimizer, progress)
    other, other_optimizer = blank()
    loaded = load_checkpoint(
        tmp_path / "new" / "checkpoint.npz", other, other_optimizer, Progress()
    )
    assert loaded.history == progress.history
    assert loaded.best_epoch == 1
    for found, expected in (
        (loaded.best_weights, progress.best_weights),
        (other.weights, network.weights),
        (other_optimizer.variables, optimizer.variables),
    ):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
            assert np.asarray(a).dtype == np.asarray(b).dtype


def test_without_a_checkpoint_nothing_is_changed(network, optimizer, tmp_path):
    before = [weight.copy() for weight in network.weights]
    blank_progress = Progress()
    assert (
        load_checkpoint(tmp_path / "checkpoint.npz", network, optimizer, blank_progress)
        is blank_progress
    )
    np.testing.assert_array_equal(network.weights, before)


def test_only_a_finished_checkpoint_is_read(network, optimizer, progress, tmp_path):
    (tmp_path / "checkpoint.unfinished").write_bytes(b"half")
    assert (
        load_checkpoint(tmp_path / "checkpoint.npz", network, optimizer, Progress()).history == []
    )
    save_checkpoint(tmp_path / "checkpoint.npz", network, optimizer, progress)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one_intact(
    network, optimizer, progress, tmp_path, monkeypatch
):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, network, optimizer, progress)
    before = path.read_bytes()

    def write_half(stream, **arrays):
        stream.write(before[: len(before) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", write_half)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, *blank(), Progress(history=[{"epoch": 3}]))
    assert path.read_bytes() == before
    assert len(load_checkpoint(path, *blank(), Progress()).history) == 2


# Keys


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "features" / "deep").mkdir(parents=True)
    for name in ("labels.csv", "features/train.npy", "features/deep/val.npy"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    return [tmp_path / "labels.csv", tmp_path / "features"]


def test_a_key_is_sixteen_hexadecimal_digits_and_can_be_repeated(inputs):
    first = training_key("seed 1", inputs)
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert training_key("seed 1", inputs) == first


def test_a_key_depends_on_the_settings(inputs):
    assert training_key("seed 1", inputs) != training_key("seed 2", inputs)


@pytest.mark.parametrize("name", ["labels.csv", "features/train.npy", "features/deep/val.npy"])
def test_a_key_depends_on_the_content_of_every_input(inputs, tmp_path, name):
    before = training_key("", inputs)
    (tmp_path / name).write_text("another", encoding="utf-8")
    assert training_key("", inputs) != before
    (tmp_path / name).write_text(name, encoding="utf-8")
    assert training_key("", inputs) == before


def test_a_key_does_not_depend_on_times_and_paths(inputs, tmp_path):
    before = training_key("", inputs)
    os.utime(inputs[0], (1, 1))
    (tmp_path / "elsewhere").mkdir()
    moved = [path.rename(tmp_path / "elsewhere" / path.name) for path in inputs]
    assert training_key("", moved) == before


def test_what_changed_during_a_training_is_refused(inputs):
    key = training_key("seed 1", inputs)
    refuse_changed(key, "seed 1", inputs, name="cnn")
    message = r"Settings, inputs or code of cnn were changed while it was trained.*; nothing was"
    with pytest.raises(ValueError, match=message):
        refuse_changed(key, "seed 2", inputs, name="cnn")
    inputs[0].write_bytes(b"edited")
    with pytest.raises(ValueError, match=message):
        refuse_changed(key, "seed 1", inputs, name="cnn")


def test_a_key_depends_on_the_code_that_is_loaded(inputs, tmp_path, monkeypatch):
    before = training_key("", inputs)
    code = tmp_path / "code.py"
    code.write_text("1", encoding="utf-8")
    module = types.SimpleNamespace(__file__=str(code))
    monkeypatch.setitem(sys.modules, "lesions.networks.mine", module)
    with_module = training_key("", inputs)
    code.write_text("2", encoding="utf-8")
    assert len({before, with_module, training_key("", inputs)}) == 3


@pytest.mark.parametrize(
    "name", ["lesions.pipeline.errors", "lesions.config.sets", "lesion", "numpy.mine"]
)
def test_a_key_does_not_depend_on_config_pipeline_or_other_packages(
    inputs, tmp_path, monkeypatch, name
):
    before = training_key("", inputs)
    (tmp_path / "code.py").write_text("1", encoding="utf-8")
    module = types.SimpleNamespace(__file__=str(tmp_path / "code.py"))
    monkeypatch.setitem(sys.modules, name, module)
    assert training_key("", inputs) == before
