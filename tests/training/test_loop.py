import os
import re
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_training import training_settings
from sklearn.metrics import accuracy_score, log_loss

from lesions.networks.backend import configure_tensorflow, keras, tf
from lesions.networks.layers import MAX_ROWS, add_metadata
from lesions.networks.saving import save_network
from lesions.training import loop
from lesions.training.augmentation import make_mixing
from lesions.training.loop import train, write_curves
from lesions.training.losses import make_loss
from lesions.training.optimization import Optimizer
from lesions.training.step import compile_fit, take_rows

N_TRAIN, EPOCHS = 26, 5


def rows(n, seed):
    """Images of 4 px and labels that have nothing to do with them, so that val_loss soon rises."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4, 4, 1)).astype(np.float32), rng.integers(0, 7, n)


INPUTS, LABELS = rows(N_TRAIN, seed=0)
VALIDATION = rows(14, seed=1)
MONITORED = rows(11, seed=2)


def build():
    """Build a network with all that carries a state: batch normalisation and dropout."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(3, 3, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(7, activation="softmax"),
    ]
    return keras.Sequential(layers)


def run(
    folder,
    *,
    build=build,
    read=INPUTS.__getitem__,
    on_epoch=lambda history: None,
    validation=VALIDATION,
    monitored=None,
    seed=1,
    **changes,
):
    """Train from the start, or from what `folder` keeps; give network, history and epoch kept."""
    settings = {"learning_rate": 0.03, "epochs": EPOCHS, "keep_epoch": "val_loss"} | changes
    histories = []

    def keep(history):
        histories.append(history)
        on_epoch(history)

    network = build()
    checkpoint = folder / "checkpoint.npz"
    kept = train(
        network,
        read,
        LABELS,
        validation=validation,
        monitored=monitored,
        seed=seed,
        checkpoint=checkpoint,
        on_epoch=keep,
        **training_settings(**settings),
    )
    assert checkpoint.exists()  # until the caller has saved the network
    return network, histories, kept


def assert_same(run_a, run_b):
    (network_a, histories_a, kept_a), (network_b, histories_b, kept_b) = run_a, run_b
    assert kept_a == kept_b
    pd.testing.assert_frame_equal(histories_a[-1], histories_b[-1], check_exact=True)
    for a, b in zip(network_a.get_weights(), network_b.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Stopped(Exception):
    """Stands for what may end a training: a full disk, Ctrl+C."""


def stop_after(epoch):
    def stop(history):
        if len(history) == epoch:
            raise Stopped

    return stop


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken"))


# The same settings, the same result


def test_training_can_be_repeated_to_the_last_bit(unbroken, tmp_path):
    assert_same(run(tmp_path), unbroken)


def test_a_stopped_training_is_resumed_and_ends_with_the_same_bits(unbroken, tmp_path, capsys):
    epoch = EPOCHS - 1
    with pytest.raises(Stopped):
        run(tmp_path, on_epoch=stop_after(epoch))
    assert (tmp_path / "checkpoint.npz").is_file()
    (tmp_path / "checkpoint.unfinished").write_bytes(b"a kill left half a state")
    capsys.readouterr()
    resumed = run(tmp_path)
    assert f"resuming after epoch {epoch} of {EPOCHS}" in capsys.readouterr().out
    assert_same(resumed, unbroken)
    # What was trained before comes first, so that the learning curve is whole at any time.
    assert [len(history) for history in resumed[1]] == list(range(epoch, EPOCHS + 1))


def test_a_training_stopped_after_its_first_and_its_last_epoch_only_ends(unbroken, tmp_path):
    for epoch in (1, EPOCHS):
        with pytest.raises(Stopped):
            run(tmp_path, on_epoch=stop_after(epoch))

    def read(_):
        raise AssertionError("nothing is left to train")

    assert_same(run(tmp_path, read=read), unbroken)


def test_a_killed_training_is_resumed_and_ends_with_the_same_bits(tmp_path):
    # This file, run as a program, trains slowly; it is killed within its third epoch (or, on a
    # machine that has much else to do, a later one).
    command = [sys.executable, "-u", __file__, tmp_path]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(
        [*command, "slowly"], stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                time.sleep(0.3)
                process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoint.npz").is_file()
    done = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", env=environment
    )
    assert re.search("resuming after epoch [234] of 5", done.stdout)
    with np.load(tmp_path / "result.npz") as result:
        n_weights = len(build().get_weights())
        assert len(result.files) == 2 * (n_weights + 2)
        for name in [name for name in result.files if name.startswith("killed")]:
            unbroken = result[name.replace("killed", "unbroken")]
            np.testing.assert_array_equal(result[name], unbroken, err_msg=name)


# What layers draw


class Noise(keras.layers.Layer):
    """Adds what a function draws: a stand-in for a layer that someone writes."""

    def __init__(self, draw, **state):
        super().__init__()
        self.draw = draw
        for name, value in state.items():
            setattr(self, name, value)

    def call(self, inputs, training=False):
        """Add noise in training."""
        return inputs + self.draw(self, keras.ops.shape(inputs)) if training else inputs


def build_with(*layers):
    """Build a network that begins with these layers, made anew."""

    def build():
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        made = [layer() for layer in layers]
        end = [keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")]
        return keras.Sequential([keras.Input((4, 4, 1)), *made, *end])

    return build


SEEDED = {
    "RandomFlip": lambda: keras.layers.RandomFlip(),
    "RandomRotation": lambda: keras.layers.RandomRotation(0.4, fill_mode="reflect"),
    "RandomContrast": lambda: keras.layers.RandomContrast(0.5),
    "GaussianNoise": lambda: keras.layers.GaussianNoise(0.5),
    "SpatialDropout2D": lambda: keras.layers.SpatialDropout2D(0.5),
    "Dropout in a network": lambda: keras.Sequential([keras.layers.Dropout(0.5)]),
    "a layer with a generator of another name": lambda: Noise(
        lambda self, shape: keras.random.normal(shape, seed=self.anything),
        anything=keras.random.SeedGenerator(5),
    ),
}


@pytest.mark.parametrize("layer", SEEDED.values(), ids=SEEDED)
def test_whatever_a_layer_draws_a_stopped_training_ends_with_the_same_bits(tmp_path, layer):
    settings = {"build": build_with(layer), "epochs": 3}
    expected = run(tmp_path / "unbroken", **settings)
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", on_epoch=stop_after(1), **settings)
    assert_same(run(tmp_path / "stopped", **settings), expected)
    other = run(tmp_path / "other", **settings | {"seed": 2})
    assert other[1][-1]["loss"][0] != expected[1][-1]["loss"][0]


HIDDEN = {
    "TensorFlow's own numbers": (
        lambda: Noise(lambda self, shape: tf.random.normal(shape)),
        r"\(RandomStandardNormal\)",
    ),
    "Keras' global generator": (
        lambda: Noise(lambda self, shape: keras.random.normal(shape)),
        "noise.*/seed_generator_state",
    ),
    "NumPy's numbers": (
        lambda: Noise(
            lambda self, shape: tf.ensure_shape(
                tf.numpy_function(
                    lambda: np.float32(np.random.default_rng().normal()), [], tf.float32
                ),
                [],
            )
        ),
        r"\(PyFunc\)",
    ),
    "a variable that no layer saves": (
        lambda: Noise(lambda self, shape: self.hidden[0], hidden=(tf.Variable(1.0, name="mine"),)),
        "mine:0",
    ),
}


@pytest.mark.parametrize(("layer", "named"), HIDDEN.values(), ids=HIDDEN)
def test_a_layer_whose_state_cannot_be_saved_is_refused_before_the_first_epoch(
    tmp_path, layer, named
):
    def read(_):
        raise AssertionError("nothing may be trained")

    message = f"has a state that a checkpoint cannot hold, .* differently: .*{named}"
    with pytest.raises(ValueError, match=message):
        run(tmp_path, build=build_with(layer), read=read)


# Metadata beside images

METADATA = np.random.default_rng(5).uniform(1, 2, (N_TRAIN, 3)).astype(np.float32)
WITH_METADATA = {"pixels": INPUTS.repeat(3, axis=-1), "metadata": METADATA}
VALIDATION_ROWS = {"pixels": VALIDATION[0].repeat(3, axis=-1), "metadata": METADATA[:14]}


def build_with_metadata():
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4, 4, 3), name="pixels")
    values = keras.layers.Conv2D(3, 3, activation="relu")(inputs)
    values = keras.layers.Flatten()(keras.layers.BatchNormalization()(values))
    values = keras.layers.Dense(7, activation="softmax")(keras.layers.Dropout(0.4)(values))
    return add_metadata(keras.Model(inputs, values), 3)


def read_both(order):
    return take_rows(WITH_METADATA, order)


BOTH = {
    "build": build_with_metadata,
    "read": read_both,
    "validation": (VALIDATION_ROWS, VALIDATION[1]),
    "epochs": 4,
}


@pytest.mark.parametrize("augment", ["none", "dermatoscopy"])
def test_a_training_with_metadata_that_dies_within_an_epoch_ends_with_the_same_bytes(
    tmp_path, augment
):
    settings = BOTH | {"augment": augment}
    expected = run(tmp_path / "unbroken", **settings)
    n_read = []

    def read_until_the_third_epoch(order):
        n_read.append(len(order))
        if sum(n_read) > 2 * N_TRAIN:
            raise Stopped
        return read_both(order)

    with pytest.raises(Stopped):
        run(tmp_path / "stopped", **settings | {"read": read_until_the_third_epoch})
    resumed = run(tmp_path / "stopped", **settings)
    assert [len(history) for history in resumed[1]] == [2, 3, 4]
    assert_same(resumed, expected)
    for name, (network, *_) in {"a": expected, "b": resumed}.items():
        save_network(network, tmp_path / f"{name}.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    other = run(tmp_path / "other", **settings | {"seed": 2})
    assert other[1][-1]["loss"][0] != expected[1][-1]["loss"][0]


def test_some_rows_are_trained_without_metadata_and_others_in_each_epoch(tmp_path, monkeypatch):
    seen = {"fit": [], "score": []}

    def record(compile_, rows):
        def compile_and_record(*args, **words):
            compiled = compile_(*args, **words)

            def call(inputs, labels):
                rows.append({name: values.numpy() for name, values in inputs.items()})
                return compiled(inputs, labels)

            call.get_concrete_function = compiled.get_concrete_function
            return call

        return compile_and_record

    for name, rows in seen.items():
        compile_ = getattr(loop, f"compile_{name}")
        monkeypatch.setattr(loop, f"compile_{name}", record(compile_, rows))
    run(tmp_path, **BOTH)
    blanked = []
    for epoch, rows in enumerate(seen["fit"]):
        order = np.random.default_rng([1, epoch]).permutation(N_TRAIN)
        np.testing.assert_array_equal(rows["pixels"], WITH_METADATA["pixels"][order])
        is_blank = (rows["metadata"] == 0).all(axis=1)
        np.testing.assert_array_equal(rows["metadata"][~is_blank], METADATA[order][~is_blank])
        blanked.append(frozenset(order[is_blank].tolist()))
    assert len(set(blanked)) == len(blanked) == 4
    # Of 4 x 26 rows 31 are expected, with a standard deviation of sqrt(104 * 0.3 * 0.7) = 4.7.
    assert 31 - 4 * 4.7 < sum(map(len, blanked)) < 31 + 4 * 4.7
    # What chooses the epoch is scored with all that is known.
    assert len(seen["score"]) == 4
    for rows in seen["score"]:
        np.testing.assert_array_equal(rows["metadata"], METADATA[:14])


def test_the_network_learns_from_metadata_and_predicts_without(tmp_path):
    """The metadata tell the label; the images tell nothing."""
    rows = {
        "pixels": np.zeros((N_TRAIN, 4, 4, 3), np.float32),
        "metadata": np.eye(7, dtype=np.float32)[LABELS][:, :3],
    }

    def read(order):
        return take_rows(rows, order)

    changes = {"read": read, "validation": None, "keep_epoch": "last", "epochs": 60}
    network, _, _ = run(tmp_path, **BOTH | changes)
    probabilities = network.predict_on_batch(rows)
    told = LABELS < 3
    assert (probabilities.argmax(axis=1) == LABELS)[told].all()
    # Without metadata it predicts the frequencies that rows without metadata had: no certainty.
    blank = network.predict_on_batch(rows | {"metadata": np.zeros((N_TRAIN, 3), np.float32)})
    assert blank.max() < probabilities[told].max(axis=1).min()


# A second opinion


@pytest.mark.parametrize("batch_size", [8, 300])  # many batches in one reading; all rows in one
def test_an_epoch_is_that_of_keras_own_fit(tmp_path, batch_size):
    def quiet():
        network = build()
        for layer in network.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0  # its masks are numbered otherwise
        return network

    n_rows = MAX_ROWS + 5  # the last reading, and in it the last batch, is smaller
    inputs, labels = rows(n_rows, seed=4)
    order = np.random.default_rng([1, 0]).permutation(n_rows)
    network, histories = quiet(), []
    train(
        network,
        inputs.__getitem__,
        labels,
        checkpoint=tmp_path / "checkpoint.npz",
        on_epoch=histories.append,
        validation=VALIDATION,
        seed=1,
        **training_settings(batch_size=batch_size),
    )
    other = quiet()
    other.compile(
        keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    expected = other.fit(
        inputs[order],
        labels[order],
        batch_size=batch_size,
        shuffle=False,
        validation_data=VALIDATION,
        verbose=0,
    ).history
    for name, values in expected.items():
        assert histories[0][name][0] == pytest.approx(values[0], rel=1e-4), name
    # Moving mean and variance are among the weights.
    for found, weight in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, weight, rtol=1e-3, atol=2e-5)


# Which epoch is kept


@pytest.mark.parametrize(
    ("keep_epoch", "best"),
    [
        ("val_loss", lambda history: history["val_loss"].idxmin()),
        ("val_accuracy", lambda history: history["val_accuracy"].idxmax()),
        ("last", lambda history: EPOCHS - 1),
    ],
)
def test_the_weights_are_those_of_the_kept_epoch(unbroken, tmp_path, keep_epoch, best):
    network, histories, kept = (
        unbroken if keep_epoch == "val_loss" else run(tmp_path, keep_epoch=keep_epoch)
    )
    history = histories[-1]
    assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
    assert kept == history["epoch"][best(history)]
    row = history.set_index("epoch").loc[kept]
    # scikit-learn's opinion of the network that is given back.
    inputs, labels = VALIDATION
    probabilities = network.predict_on_batch(inputs).astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    loss = log_loss(labels, probabilities, labels=range(7))
    assert row["val_loss"] == pytest.approx(loss, rel=1e-5)
    accuracy = accuracy_score(labels, probabilities.argmax(axis=1))
    assert row["val_accuracy"] == pytest.approx(accuracy, rel=1e-6)


def test_the_epochs_differ_so_that_keeping_one_means_something(unbroken):
    _, histories, kept = unbroken
    assert kept < EPOCHS
    assert histories[-1]["val_loss"].is_unique


# Test images that are monitored

LAST = {"keep_epoch": "last", "ema_momentum": 0.8}


def write(folder, history):
    files = {name: folder / f"{name}.csv" for name in ("curve", "monitored")}
    write_curves(history, **files)
    return files["curve"].read_bytes(), pd.read_csv(files["monitored"])


def save(folder, network):
    save_network(network, folder / "network.keras")
    return (folder / "network.keras").read_bytes()


def test_monitoring_changes_no_weight_no_other_score_and_no_choice(tmp_path):
    plain, watched = tmp_path / "plain", tmp_path / "watched"
    network, histories, kept = run(plain, **LAST)
    other, watched_histories, other_kept = run(watched, monitored=MONITORED, **LAST)
    assert save(plain, network) == save(watched, other)
    assert kept == other_kept == EPOCHS
    curve, nothing = write(plain, histories[-1])
    same_curve, monitored = write(watched, watched_histories[-1])
    assert curve == same_curve
    assert list(nothing) == list(monitored) == ["epoch", "test_accuracy", "test_loss"]
    assert nothing.empty
    assert monitored["epoch"].tolist() == list(range(1, EPOCHS + 1))
    # scikit-learn's opinion of the averaged weights, which are kept.
    inputs, labels = MONITORED
    probabilities = other.predict_on_batch(inputs).astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    last = monitored.iloc[-1]
    loss = log_loss(labels, probabilities, labels=range(7))
    assert last["test_loss"] == pytest.approx(loss, rel=1e-5)
    accuracy = accuracy_score(labels, probabilities.argmax(axis=1))
    assert last["test_accuracy"] == pytest.approx(accuracy, rel=1e-6)


def test_a_stopped_training_that_is_monitored_ends_with_the_same_bits(tmp_path, capsys):
    expected = run(tmp_path / "unbroken", monitored=MONITORED, **LAST)
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", monitored=MONITORED, on_epoch=stop_after(2), **LAST)
    capsys.readouterr()
    resumed = run(tmp_path / "stopped", monitored=MONITORED, **LAST)
    assert_same(resumed, expected)
    printed = capsys.readouterr().out
    assert "resuming after epoch 2" in printed
    assert re.search(r"test_accuracy 0\.\d{4}  test_loss \d", printed)


def test_not_even_an_infinite_score_of_test_images_ends_a_training(tmp_path):
    inputs, labels = MONITORED
    broken = (np.full_like(inputs, np.nan), labels)
    settings = {"build": build_with(), "epochs": 2, "keep_epoch": "last"}
    _, histories, kept = run(tmp_path, monitored=broken, **settings)
    assert kept == 2
    assert histories[-1]["test_loss"].isna().all()
    assert len(write(tmp_path, histories[-1])[1]) == 2


# What is read


def test_without_validation_images_all_rows_are_read_and_the_last_epoch_is_kept(unbroken, tmp_path):
    batches, orders = [], []

    def read(order):
        batches.append(order.tolist())
        return INPUTS[order]

    def order_of_epoch(history):
        orders.append(list(chain(*batches)))
        batches.clear()

    _, histories, kept = run(
        tmp_path, read=read, on_epoch=order_of_epoch, epochs=3, validation=None, seed=2
    )
    assert kept == 3
    assert list(histories[-1]) == ["epoch", "accuracy", "loss", "n_predicted_classes"]
    assert [sorted(order) for order in orders] == [list(range(N_TRAIN))] * 3
    assert orders[0] != orders[1] != orders[2]
    # Another seed than `unbroken` has, but the same initial weights, see `build`.
    assert histories[-1]["loss"][0] != unbroken[1][-1]["loss"][0]


def test_the_history_counts_the_classes_that_are_predicted(unbroken, tmp_path):
    network, histories, _ = run(tmp_path, epochs=2, keep_epoch="last")
    predicted = network.predict_on_batch(VALIDATION[0]).argmax(axis=1)
    assert histories[-1]["val_n_predicted_classes"][1] == len(set(predicted.tolist()))
    # A network whose bias is all for class 3 predicts nothing else; nothing is learnt at this rate.
    biased = build_with(lambda: keras.layers.Flatten())()
    biased.layers[-1].bias.assign([0, 0, 0, 99, 0, 0, 0])
    history = run(tmp_path / "biased", build=lambda: biased, learning_rate=1e-9, epochs=1)[1][-1]
    assert history["n_predicted_classes"].tolist() == [1]
    assert history["val_n_predicted_classes"].tolist() == [1]


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_of_a_mixed_image_the_class_with_the_largest_target_counts(policy):
    labels = np.arange(64) % 2
    images = np.float32(2 * labels - 1)[:, None, None, None] * np.ones((4, 4, 1), np.float32)
    softmax = keras.layers.Dense(2, activation="softmax")
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), softmax])
    softmax.kernel.assign(np.tile([-1.0, 1.0], (16, 1)))  # the class that most of the image shows
    settings = training_settings(learning_rate=1e-9)
    optimizer = Optimizer(network, n_steps=1, epochs=1, **settings["optimizer"])
    loss = make_loss(counts=np.array([32, 32]), **settings["loss"])
    fit = compile_fit(network, optimizer, make_mixing(policy), loss, batch_size=64)
    assert fit(images, labels)[0] >= 60  # halves may count for either


# Faults


def test_a_loss_that_is_not_finite_is_refused_with_the_way_out(tmp_path):
    diverged = build()
    diverged.layers[-1].bias.assign([np.nan] * 7)
    message = r"loss is nan after epoch 1; lower the model's learning_rate in params"
    with pytest.raises(ValueError, match=message):
        run(tmp_path, build=lambda: diverged)
    assert not (tmp_path / "checkpoint.npz").exists()  # or the next run would go on from there


def main(folder, slowly):
    configure_tensorflow(seed=1, threads=2)

    def read(order):
        time.sleep(0.8 if slowly else 0)
        return INPUTS[order]

    results = {}
    for name in ("killed", "unbroken"):
        network, histories, kept = run(folder / name, read=read)
        results[f"{name} history"] = histories[-1].to_numpy()
        results[f"{name} kept"] = kept
        results |= {f"{name} {n}": weight for n, weight in enumerate(network.get_weights())}
    np.savez(folder / "result.npz", **results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), slowly=len(sys.argv) > 2)
