"""Training, epoch by epoch, so that a killed run goes on and ends with the same bytes."""

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lesions.optimizer import FusedAdam
from lesions.resume import load_state, save_state
from lesions.runtime import keras, tf

Read = Callable[[np.ndarray], np.ndarray]
N_READ = 256  # rows read, and handed to TensorFlow, at once; bounds the memory
# Operations whose numbers depend on what ran before them in the process, or that run Python.
STATEFUL = re.compile(r"(?!Stateless).*(Random|Multinomial|Normal$|Poisson|Binomial)|.*PyFunc")


@dataclass
class Progress:
    """How far a training is: a history with one row an epoch, and the epoch to keep."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


def train(
    network: keras.Model,
    read: Read,
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    keep_epoch: str,
    seed: int,
    state: Path,
    on_epoch: Callable[[pd.DataFrame], None],
) -> int:
    """Train `network` in place with Adam and categorical cross-entropy; give the epoch kept.

    After each epoch all that the next one needs is written to `state`, so a run that was killed
    takes up at its last finished epoch and ends with the bytes of an unbroken one: the order of the
    rows and whatever layers draw follow from (`seed`, epoch) alone.

    This loop stands in for Keras' `fit`, which returns to Python for every batch and computes batch
    normalisation and Adam's step from their parts. `benchmarks/cnn.py` and `benchmarks/frozen.py`
    compare the two.

    Parameters
    ----------
    network
        From what `read` gives to probabilities `(n, 7)`.
    read
        Gives the float32 inputs of any training rows.
    labels
        Integers `(n_train,)`, 0–6.
    validation
        Inputs and labels that choose the epoch; `None`: the last epoch is kept.
    keep_epoch
        `val_loss` (the lowest), `val_accuracy` (the highest) or `last`.
    state
        File that holds the progress; remove it when the trained network has been saved.
    on_epoch
        Called after each epoch with the whole history: `epoch` (from 1), `accuracy`, `loss`,
        `n_predicted_classes` (how many classes were predicted for any row) and, with `validation`,
        the same with `val_` before the name.

    Raises
    ------
    ValueError
        If the loss is no longer finite, or if a layer keeps a state that cannot be saved.
    """
    optimizer = FusedAdam(learning_rate)
    optimizer.build(network.trainable_variables)
    progress = load_state(state, network, optimizer, Progress())
    if progress.history:
        print(f"taking up after epoch {len(progress.history)} of {epochs}", flush=True)
        on_epoch(pd.DataFrame(progress.history))
    started, first = time.monotonic(), len(progress.history)
    fit, score = _compile(network, optimizer, batch_size)
    _refuse_hidden_state(fit, [*network.variables, *optimizer.variables])
    for epoch in range(first, epochs):
        _seed_layers(network, seed, epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(labels))
        row = {"epoch": epoch + 1} | _over_all(fit, read, labels, order, batch_size)
        if validation is not None:
            inputs, val_labels = validation
            scores = _over_all(
                score, inputs.__getitem__, val_labels, np.arange(len(val_labels)), N_READ
            )
            row |= {f"val_{name}": value for name, value in scores.items()}
        _refuse_infinite(row, learning_rate)
        progress.history.append(row)
        if _is_best(progress.history, keep_epoch):
            progress.best_epoch = epoch + 1
            progress.best_weights = network.get_weights()
        save_state(state, network, optimizer, progress)
        on_epoch(pd.DataFrame(progress.history))
        pace = (time.monotonic() - started) / (epoch + 1 - first)
        print(_progress_line(row, epochs, pace), flush=True)
    network.set_weights(progress.best_weights)
    return progress.best_epoch


def _compile(network, optimizer, batch_size) -> tuple[Callable, Callable]:
    """Compile two functions of inputs and labels.

    The first takes a step of `optimizer` for each `batch_size` rows, the second only looks. Each
    returns, summed over the rows, whether the prediction is right, the loss, and the predictions of
    each class: float32 `(2 + n_classes,)`.
    """
    n_classes = network.output_shape[-1]

    def summed(labels, probabilities, losses):
        predicted = keras.ops.argmax(probabilities, axis=-1)
        right = tf.cast(keras.ops.equal(predicted, labels), tf.float32)
        by_class = tf.reduce_sum(tf.one_hot(predicted, n_classes), axis=0)
        return tf.concat([[tf.reduce_sum(right), tf.reduce_sum(losses)], by_class], axis=0)

    def step(inputs, labels):
        with tf.GradientTape() as tape:
            probabilities = network(inputs, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))
        return summed(labels, probabilities, losses)

    signature = [
        tf.TensorSpec((None, *network.input_shape[1:]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    ]

    @tf.function(input_signature=signature)
    def fit(inputs, labels):
        sums = tf.zeros(2 + n_classes)
        with _fused_normalisation(network):
            for start in tf.range(0, tf.shape(labels)[0], batch_size):
                rows = slice(start, start + batch_size)
                sums += step(inputs[rows], labels[rows])
        return sums

    @tf.function(input_signature=signature)
    def score(inputs, labels):
        probabilities = network(inputs, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        return summed(labels, probabilities, losses)

    return fit, score


def _over_all(function, read, labels, order, batch_size) -> dict[str, float]:
    """Call a function of `_compile` with all rows, whole batches of them at a time."""
    n_rows = batch_size * max(1, N_READ // batch_size)
    sums = 0.0
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        inputs = tf.constant(read(rows), tf.float32)
        sums += function(inputs, tf.constant(labels[rows], tf.int64)).numpy().astype(np.float64)
    accuracy, loss = (sums[:2] / len(order)).tolist()
    return {
        "accuracy": accuracy,
        "loss": loss,
        "n_predicted_classes": int(np.count_nonzero(sums[2:])),
    }


@contextlib.contextmanager
def _fused_normalisation(network: keras.Model) -> Iterator[None]:
    """Let batch normalisation of images run in TensorFlow's one kernel for it while training.

    Keras computes mean, variance and the rest one by one, and the gradient of each.
    """
    layers = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale and layer.center
    ]
    for layer in layers:
        layer.call = partial(_normalise, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _normalise(layer, inputs, training=None, mask=None):
    """Do what `call` of a BatchNormalization layer does."""
    of_images = len(inputs.shape) == 4 and layer.axis in (-1, 3) and mask is None
    if not (training and layer.trainable and of_images):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    none = tf.constant([], tf.float32)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=layer.gamma,
        offset=layer.beta,
        mean=none,
        variance=none,
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel's running variance is that of a sample, Keras keeps that of the batch itself.
    n_values = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
    variance *= (n_values - 1) / n_values
    for kept, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    return outputs


def _refuse_infinite(row: dict, learning_rate: float) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{name} must stay finite; it is {value} after epoch {row['epoch']}; lower the "
                f"model's learning_rate ({learning_rate:g}) in params.yaml"
            )


def _seed_layers(network: keras.Model, seed: int, epoch: int) -> None:
    """Start every seed generator anew from (seed, epoch) and its position in the network.

    Keras counts a layer's seed generators, whatever attribute holds them, among its `variables` and
    not among its `weights`.
    """
    weights = {id(variable) for variable in network.weights}
    states = [variable for variable in network.variables if id(variable) not in weights]
    for position, state in enumerate(states):
        rng = np.random.default_rng([seed, epoch, position])
        state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))


def _refuse_hidden_state(fit, known: Sequence[keras.Variable]) -> None:
    """Refuse a network that draws from, or keeps, what is neither seeded nor saved."""
    graph = fit.get_concrete_function().graph
    saved = {variable.value.ref() for variable in known}
    hidden = [variable.name for variable in graph.variables if variable.ref() not in saved]
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    hidden += [f"{node.name} ({node.op})" for node in nodes if STATEFUL.match(node.op)]
    if hidden:
        raise ValueError(
            "A network must draw random numbers from keras.random.SeedGenerator objects that its "
            "layers hold, or a training that was interrupted could not be resumed with the same "
            f"result; found {', '.join(sorted(hidden))}. Give that layer a seed generator as an "
            "attribute, as keras.layers.Dropout does."
        )


def _is_best(history: Sequence[dict], keep_epoch: str) -> bool:
    """Tell whether the newest epoch is the one to keep so far; the first of equals wins."""
    if keep_epoch == "last" or keep_epoch not in history[-1]:
        return True
    sign = 1 if keep_epoch == "val_accuracy" else -1
    newest = sign * history[-1][keep_epoch]
    return all(newest > sign * row[keep_epoch] for row in history[:-1])


def _progress_line(row: dict, epochs: int, pace: float) -> str:
    numbers = "  ".join(
        f"{name} {value:.4f}" for name, value in row.items() if isinstance(value, float)
    )
    minutes, seconds = divmod(round(pace * (epochs - row["epoch"])), 60)
    return f"epoch {row['epoch']}/{epochs}  {numbers}  {pace:.1f} s, {minutes}:{seconds:02} left"
