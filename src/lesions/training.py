"""Training, epoch by epoch, so that a killed run goes on and ends with the same bytes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lesions.resume import load_state, save_state
from lesions.runtime import keras

Read = Callable[[np.ndarray], np.ndarray]


@dataclass
class Progress:
    """How far a training is: a history with one row an epoch, and the epoch to keep."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


class Batches(keras.utils.PyDataset):
    """Batches of the rows `order`, read when they are needed."""

    def __init__(self, read: Read, labels: np.ndarray, order: np.ndarray, batch_size: int):
        super().__init__()
        self.read, self.labels, self.order, self.batch_size = read, labels, order, batch_size

    def __len__(self) -> int:
        """Count the batches; the last one may be smaller."""
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read batch `index`: inputs and labels."""
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.read(rows), self.labels[rows]


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
    takes up at its last finished epoch and ends with the bytes of an unbroken one: order of the
    rows and dropout masks follow from (`seed`, epoch), the order in which Keras takes the batches
    from Python's random numbers, whose state is kept too.

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
        Called after each epoch with the whole history: `epoch` (from 1), `accuracy`, `loss` and,
        with `validation`, `val_accuracy`, `val_loss`.

    Raises
    ------
    ValueError
        If the loss is no longer finite.
    """
    # The same layers under another name: what is compiled would be saved with its optimizer.
    network = keras.Model(network.inputs[0], network.outputs[0])
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    network.optimizer.build(network.trainable_variables)
    progress = load_state(state, network, Progress())
    if progress.history:
        print(f"taking up after epoch {len(progress.history)} of {epochs}", flush=True)
        on_epoch(pd.DataFrame(progress.history))
    started, first = time.monotonic(), len(progress.history)
    for epoch in range(first, epochs):
        row = _fit_epoch(network, read, labels, validation, batch_size, seed, epoch)
        progress.history.append(row)
        if _is_best(progress.history, keep_epoch):
            progress.best_epoch = epoch + 1
            progress.best_weights = network.get_weights()
        save_state(state, network, progress)
        on_epoch(pd.DataFrame(progress.history))
        pace = (time.monotonic() - started) / (epoch + 1 - first)
        print(_progress_line(row, epochs, pace), flush=True)
    network.set_weights(progress.best_weights)
    return progress.best_epoch


def _fit_epoch(network, read, labels, validation, batch_size, seed, epoch) -> dict:
    """Fit one epoch; give its row of the history."""
    order = np.random.default_rng([seed, epoch]).permutation(len(labels))
    _seed_dropout(network, seed, epoch)
    logs = network.fit(
        Batches(read, labels, order, batch_size),
        validation_data=validation,
        validation_batch_size=256,
        verbose=0,
    ).history
    names = [name for name in ("accuracy", "loss", "val_accuracy", "val_loss") if name in logs]
    row = {"epoch": epoch + 1} | {name: float(logs[name][0]) for name in names}
    for name in names:
        if not math.isfinite(row[name]):
            raise ValueError(
                f"{name} must stay finite; it is {row[name]} after epoch {epoch + 1}; lower the "
                f"model's learning_rate ({float(network.optimizer.learning_rate):g}) in params.yaml"
            )
    return row


def _seed_dropout(network: keras.Model, seed: int, epoch: int) -> None:
    """Start every seed generator anew from (seed, epoch) and its place in the network."""
    layers = [layer for layer in network._flatten_layers() if hasattr(layer, "seed_generator")]
    for place, layer in enumerate(layers):
        state = np.random.default_rng([seed, epoch, place]).integers(0, 2**32, 2, dtype=np.uint32)
        layer.seed_generator.state.assign(state)


def _is_best(history: Sequence[dict], keep_epoch: str) -> bool:
    """Tell whether the newest epoch is the one to keep so far; the first of equals wins."""
    if keep_epoch == "last" or keep_epoch not in history[-1]:
        return True
    sign = 1 if keep_epoch == "val_accuracy" else -1
    newest = sign * history[-1][keep_epoch]
    return all(newest > sign * row[keep_epoch] for row in history[:-1])


def _progress_line(row: dict, epochs: int, pace: float) -> str:
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
    minutes, seconds = divmod(round(pace * (epochs - row["epoch"])), 60)
    return f"epoch {row['epoch']}/{epochs}  {numbers}  {pace:.1f} s, {minutes}:{seconds:02} left"
