"""The training loop; an epoch's random numbers follow from (seed, epoch), so it can resume."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lesions.networks.backend import keras, tf
from lesions.networks.layers import rows_at_once
from lesions.training.augmentation import blank_rows, change_images, make_mixing
from lesions.training.checkpoint import load_checkpoint, save_checkpoint
from lesions.training.fast_layers import copy_for_training
from lesions.training.losses import make_loss
from lesions.training.optimization import Optimizer
from lesions.training.seeds import list_seed_states, reset_seed_states
from lesions.training.step import (
    Rows,
    compile_fit,
    compile_score,
    refuse_hidden_state,
    take_rows,
)

MONITORED = ("test_accuracy", "test_loss")


@dataclass
class Progress:
    """The history, a row for each finished epoch, and the best epoch so far."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


def train(
    network: keras.Model,
    read: Callable[[np.ndarray], Rows],
    labels: np.ndarray,
    *,
    validation: tuple[Rows, np.ndarray] | None,
    monitored: tuple[Rows, np.ndarray] | None = None,
    augment: str,
    loss: Mapping,
    optimizer: Mapping,
    precision: str,
    batch_size: int,
    epochs: int,
    keep_epoch: str,
    patience: int | None,
    seed: int,
    checkpoint: Path,
    on_epoch: Callable[[pd.DataFrame], None],
) -> int:
    """Train `network` in place; return the epoch kept.

    After each epoch all that the next one needs is written to `checkpoint`. A run that was killed
    resumes after its last finished epoch and ends with the bytes of an uninterrupted one: the order
    of the rows and whatever layers draw follow from (`seed`, epoch) alone. Keras' `fit` with
    `BackupAndRestore` does not give that.

    Parameters
    ----------
    network
        From what `read` returns to probabilities `(n, n_classes)`.
    read
        Returns the float32 inputs of some training rows: an array, or a dict of `pixels` and
        `metadata`, of which some rows are then blanked; it is called in another thread.
    labels
        Integers `(n_train,)`; every class occurs.
    validation
        Inputs and labels that choose the epoch; `None`: the last epoch is kept.
    monitored
        Inputs and labels of the test images to score after each epoch; nothing is chosen by them.
    augment
        A policy of `lesions.training.augmentation`.
    loss
        Arguments of `lesions.training.losses.make_loss`.
    optimizer
        Arguments of `lesions.training.optimization.Optimizer`.
    precision
        As for `lesions.training.fast_layers.copy_for_training`.
    keep_epoch
        `val_loss` (lowest), `val_accuracy` (highest) or `last`.
    patience
        Epochs after the best one before training stops; `None`: all `epochs` are trained.
    checkpoint
        File of the progress; to be removed once the trained network has been saved.
    on_epoch
        Called after each epoch with the whole history: `epoch` (from 1), `accuracy`, `loss`,
        `n_predicted_classes` (classes that were predicted for any row) and the same with the
        prefix `val_` of `validation` and `test_` of `monitored`. `loss` is what is minimised,
        `val_loss` and `test_loss` are the cross-entropy.

    Raises
    ------
    ValueError
        If the loss is no longer finite, or a layer has a state that cannot be saved.
    """
    copy = copy_for_training(network, precision)
    mixing = make_mixing(augment)
    counts = np.bincount(labels, minlength=network.output_shape[-1])
    optimizer = Optimizer(
        copy, n_steps=math.ceil(len(labels) / batch_size), epochs=epochs, **optimizer
    )
    progress = load_checkpoint(checkpoint, copy, optimizer, Progress())
    if progress.history:
        print(f"resuming after epoch {len(progress.history)} of {epochs}", flush=True)
        on_epoch(pd.DataFrame(progress.history))
    fit = compile_fit(
        copy, optimizer, mixing, make_loss(counts=counts, **loss), batch_size=batch_size
    )
    score = compile_score(copy)
    states = list_seed_states([copy, *mixing])
    refuse_hidden_state(fit, [*copy.variables, *optimizer.variables, *states])
    n_scored = rows_at_once(copy)
    n_read = batch_size * max(1, n_scored // batch_size)
    started, first = time.monotonic(), len(progress.history)
    for epoch in range(first, epochs):
        if patience is not None and epoch - progress.best_epoch >= patience:
            print(f"no better epoch in {patience}; stopping after {epoch}", flush=True)
            break
        reset_seed_states(states, seed, epoch)
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(labels))
        changed = partial(_read_changed, read, augment, rng)
        row = {"epoch": epoch + 1} | _average_over_rows(fit, changed, labels, order, n_read)
        with optimizer.averaged():
            if validation is not None:
                row |= _score(score, *validation, n_scored, "val_")
            _refuse_infinite(row)
            if monitored is not None:  # after the check: test scores never stop a training
                row |= _score(score, *monitored, n_scored, "test_")
            progress.history.append(row)
            if _is_best(progress.history, keep_epoch):
                progress.best_epoch = epoch + 1
                progress.best_weights = copy.get_weights()
        save_checkpoint(checkpoint, copy, optimizer, progress)
        on_epoch(pd.DataFrame(progress.history))
        seconds = (time.monotonic() - started) / (epoch + 1 - first)
        print(_progress_line(row, epochs, seconds), flush=True)
    network.set_weights(progress.best_weights)
    return progress.best_epoch


def write_curves(history: pd.DataFrame, *, curve: Path, monitored: Path) -> None:
    """Write all but the scores of test images to `curve`, and these to a file of their own.

    `history` is that of `train`. `monitored` has `epoch`, `test_accuracy` and `test_loss`, and no
    row if no test image was scored.
    """
    is_test = history.columns.str.startswith("test_")
    history.loc[:, ~is_test].to_csv(curve, index=False)
    scored = history if is_test.any() else history.head(0)
    scored.reindex(columns=["epoch", *MONITORED]).to_csv(monitored, index=False)


def _average_over_rows(function, read, labels, order, n_read) -> dict[str, float]:
    """Return the means of a compiled function over all rows, `n_read` at a time."""
    chunks = [order[start : start + n_read] for start in range(0, len(order), n_read)]
    sums = 0.0
    for rows, inputs in zip(chunks, _read_ahead(read, chunks), strict=True):
        inputs = keras.tree.map_structure(lambda values: tf.constant(values, tf.float32), inputs)
        sums += function(inputs, tf.constant(labels[rows], tf.int64)).numpy().astype(np.float64)
    accuracy, loss = (sums[:2] / len(order)).tolist()
    n_predicted_classes = int(np.count_nonzero(sums[2:]))
    return {"accuracy": accuracy, "loss": loss, "n_predicted_classes": n_predicted_classes}


def _score(score, inputs, labels, n_read, prefix) -> dict[str, float]:
    order = np.arange(len(labels))
    scores = _average_over_rows(score, partial(take_rows, inputs), labels, order, n_read)
    return {f"{prefix}{name}": value for name, value in scores.items()}


def _read_changed(read, policy, rng, rows) -> Rows:
    """Return augmented rows; chunks are read one after another, so that draws have one order."""
    inputs = read(rows)
    if isinstance(inputs, dict):
        pixels = change_images(inputs["pixels"], policy, rng)
        return {"pixels": pixels, "metadata": blank_rows(inputs["metadata"], rng)}
    return change_images(inputs, policy, rng)


def _read_ahead(read, chunks: Iterable[np.ndarray]) -> Iterator[Rows]:
    """Yield the rows of each chunk; the next chunk is read while one is in use."""
    with ThreadPoolExecutor(1) as pool:
        reading = None
        for chunk in chunks:
            upcoming = pool.submit(read, chunk)
            if reading is not None:
                yield reading.result()
            reading = upcoming
        yield reading.result()


def _refuse_infinite(row: dict) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{name} is {value} after epoch {row['epoch']}; lower the model's learning_rate "
                "in params.yaml, or set clip_norm to 1"
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
