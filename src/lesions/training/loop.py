"""The training loop; an epoch's random numbers follow from (seed, epoch), so it can resume."""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lesions.networks.backend import keras, tf
from lesions.training.checkpoint import load_checkpoint, save_checkpoint

N_READ = 256  # rows that are read, and handed to TensorFlow, at once; bounds the memory
# Operations whose results depend on what ran before them in the process, or that run Python.
STATEFUL = re.compile(r"(?!Stateless).*(Random|Multinomial|Normal$|Poisson|Binomial)|.*PyFunc")


@dataclass
class Progress:
    """The history, a row for each finished epoch, and the best epoch so far."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


def train(
    network: keras.Model,
    read: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    keep_epoch: str,
    seed: int,
    checkpoint: Path,
    on_epoch: Callable[[pd.DataFrame], None],
) -> int:
    """Train `network` in place with Adam and categorical cross-entropy; return the epoch kept.

    After each epoch all that the next one needs is written to `checkpoint`. A run that was killed
    resumes after its last finished epoch and ends with the bytes of an uninterrupted one: the order
    of the rows and whatever layers draw follow from (`seed`, epoch) alone. Keras' `fit` with
    `BackupAndRestore` does not give that.

    Parameters
    ----------
    network
        From what `read` returns to probabilities `(n, n_classes)`.
    read
        Returns the float32 inputs of some training rows.
    labels
        Integers `(n_train,)`.
    validation
        Inputs and labels that choose the epoch; `None`: the last epoch is kept.
    keep_epoch
        `val_loss` (lowest), `val_accuracy` (highest) or `last`.
    checkpoint
        File of the progress; to be removed once the trained network has been saved.
    on_epoch
        Called after each epoch with the whole history: `epoch` (from 1), `accuracy`, `loss`,
        `n_predicted_classes` (classes that were predicted for any row) and, with `validation`, the
        same with the prefix `val_`.

    Raises
    ------
    ValueError
        If the loss is no longer finite, or a layer has a state that cannot be saved.
    """
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(network.trainable_variables)
    progress = load_checkpoint(checkpoint, network, optimizer, Progress())
    if progress.history:
        print(f"resuming after epoch {len(progress.history)} of {epochs}", flush=True)
        on_epoch(pd.DataFrame(progress.history))
    started, first = time.monotonic(), len(progress.history)
    fit, score = _compile(network, optimizer, batch_size)
    _refuse_hidden_state(fit, [*network.variables, *optimizer.variables])
    for epoch in range(first, epochs):
        _seed_layers(network, seed, epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(labels))
        row = {"epoch": epoch + 1} | _run_epoch(fit, read, labels, order, batch_size)
        if validation is not None:
            inputs, val_labels = validation
            order = np.arange(len(val_labels))
            scores = _run_epoch(score, inputs.__getitem__, val_labels, order, N_READ)
            row |= {f"val_{name}": value for name, value in scores.items()}
        _refuse_infinite(row, learning_rate)
        progress.history.append(row)
        if _is_best(progress.history, keep_epoch):
            progress.best_epoch = epoch + 1
            progress.best_weights = network.get_weights()
        save_checkpoint(checkpoint, network, optimizer, progress)
        on_epoch(pd.DataFrame(progress.history))
        seconds = (time.monotonic() - started) / (epoch + 1 - first)
        print(_progress_line(row, epochs, seconds), flush=True)
    network.set_weights(progress.best_weights)
    return progress.best_epoch


def _compile(network, optimizer, batch_size) -> tuple[Callable, Callable]:
    """Compile training and scoring, each a function of inputs and labels.

    Both return sums over the rows: correct predictions, loss, and predictions of each class,
    float32 `(2 + n_classes,)`.
    """
    n_classes = network.output_shape[-1]

    def add_up(labels, probabilities, losses):
        predicted = keras.ops.argmax(probabilities, axis=-1)
        correct = tf.cast(keras.ops.equal(predicted, labels), tf.float32)
        by_class = tf.reduce_sum(tf.one_hot(predicted, n_classes), axis=0)
        return tf.concat([[tf.reduce_sum(correct), tf.reduce_sum(losses)], by_class], axis=0)

    def step(inputs, labels):
        with tf.GradientTape() as tape:
            probabilities = network(inputs, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))
        return add_up(labels, probabilities, losses)

    signature = [
        tf.TensorSpec((None, *network.input_shape[1:]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    ]

    @tf.function(input_signature=signature)
    def fit(inputs, labels):
        sums = tf.zeros(2 + n_classes)
        for start in tf.range(0, tf.shape(labels)[0], batch_size):
            rows = slice(start, start + batch_size)
            sums += step(inputs[rows], labels[rows])
        return sums

    @tf.function(input_signature=signature)
    def score(inputs, labels):
        probabilities = network(inputs, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        return add_up(labels, probabilities, losses)

    return fit, score


def _run_epoch(function, read, labels, order, batch_size) -> dict[str, float]:
    """Return the means of a function of `_compile` over all rows, read in multiples of a batch."""
    n_rows = batch_size * max(1, N_READ // batch_size)
    sums = 0.0
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        inputs = tf.constant(read(rows), tf.float32)
        sums += function(inputs, tf.constant(labels[rows], tf.int64)).numpy().astype(np.float64)
    accuracy, loss = (sums[:2] / len(order)).tolist()
    n_predicted_classes = int(np.count_nonzero(sums[2:]))
    return {"accuracy": accuracy, "loss": loss, "n_predicted_classes": n_predicted_classes}


def _refuse_infinite(row: dict, learning_rate: float) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{name} is {value} after epoch {row['epoch']}; lower the model's learning_rate "
                f"({learning_rate:g}) in params.yaml"
            )


def _seed_layers(network: keras.Model, seed: int, epoch: int) -> None:
    """Reset every seed generator from (seed, epoch) and its position in the network.

    Keras lists the state of a layer's seed generators, whatever attribute holds them, in its
    `variables` and not in its `weights`.
    """
    weights = {id(variable) for variable in network.weights}
    states = [variable for variable in network.variables if id(variable) not in weights]
    for position, state in enumerate(states):
        rng = np.random.default_rng([seed, epoch, position])
        state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))


def _refuse_hidden_state(fit, known: Sequence[keras.Variable]) -> None:
    """Refuse a network whose random numbers or variables are neither seeded nor saved."""
    graph = fit.get_concrete_function().graph
    saved = {variable.value.ref() for variable in known}
    hidden = [variable.name for variable in graph.variables if variable.ref() not in saved]
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    hidden += [f"{node.name} ({node.op})" for node in nodes if STATEFUL.match(node.op)]
    if hidden:
        raise ValueError(
            "The network has a state that a checkpoint cannot hold, so that a resumed training "
            f"would end differently: {', '.join(sorted(hidden))}. Draw random numbers from a "
            "keras.random.SeedGenerator that is an attribute of the layer, as in "
            "keras.layers.Dropout."
        )


def _is_best(history: Sequence[dict], keep_epoch: str) -> bool:
    """Return whether the newest epoch is the best so far; of equals the first is."""
    if keep_epoch == "last" or keep_epoch not in history[-1]:
        return True
    sign = 1 if keep_epoch == "val_accuracy" else -1
    newest = sign * history[-1][keep_epoch]
    return all(newest > sign * row[keep_epoch] for row in history[:-1])


def _progress_line(row: dict, epochs: int, seconds: float) -> str:
    numbers = "  ".join(
        f"{name} {value:.4f}" for name, value in row.items() if isinstance(value, float)
    )
    minutes, rest = divmod(round(seconds * (epochs - row["epoch"])), 60)
    return f"epoch {row['epoch']}/{epochs}  {numbers}  {seconds:.1f} s, {minutes}:{rest:02} left"
