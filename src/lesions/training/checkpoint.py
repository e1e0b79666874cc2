"""Checkpoints of training runs: written atomically, valid for the same settings, data and code."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

# Packages that no result depends on, though the script imports them.
IRRELEVANT = ("lesions.config", "lesions.pipeline")


def training_key(settings: str, inputs: Iterable[Path]) -> str:
    """Return a hash of what a training run depends on: settings, inputs, and the code loaded.

    Parameters
    ----------
    settings
        All settings, as any text.
    inputs
        Files and folders, by content.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    code = [
        Path(module.__file__)
        for name, module in sorted(sys.modules.items())
        if name.startswith("lesions.") and not name.startswith(IRRELEVANT)
    ]
    digest = hashlib.sha256(settings.encode())
    for path in [*inputs, *code]:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in filter(Path.is_file, files):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def refuse_changed(key: str, settings: str, inputs: Iterable[Path], *, name: str) -> None:
    """Raise ValueError if `training_key` is no longer `key`, as it was when the training began.

    DVC records settings and inputs when a stage ends, and would take a model that was trained with
    the former ones for one of the new.
    """
    if training_key(settings, inputs) != key:
        raise ValueError(
            f"Settings, inputs or code of {name} were changed while it was trained, so that its "
            "record would be wrong; nothing was saved. Undo the change and run again, which takes "
            "up the finished training, or run again to train with the change"
        )


def save_checkpoint(path: Path, network, optimizer, progress) -> None:
    """Write weights, optimizer and progress to `path`; a kill leaves the old file or the new."""
    arrays = {
        **_number("network", network.get_weights()),
        **_number("optimizer", [np.asarray(value) for value in optimizer.variables]),
        **_number("best", progress.best_weights),
    }
    record = {"history": progress.history, "best_epoch": progress.best_epoch}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        np.savez(stream, record=np.array(json.dumps(record)), **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def load_checkpoint(path: Path, network, optimizer, progress):
    """Load the checkpoint at `path`, if there is one, into all three; return `progress`."""
    if not path.exists():
        return progress
    with np.load(path) as arrays:
        record = json.loads(str(arrays["record"]))
        network.set_weights(_collect("network", arrays))
        values = _collect("optimizer", arrays)
        for variable, value in zip(optimizer.variables, values, strict=True):
            variable.assign(value)
        progress.best_weights = _collect("best", arrays)
    progress.history, progress.best_epoch = record["history"], record["best_epoch"]
    return progress


def _number(prefix: str, values: list) -> dict:
    return {f"{prefix}_{index:05}": value for index, value in enumerate(values)}


def _collect(prefix: str, arrays) -> list:
    return [arrays[name] for name in sorted(arrays.files) if name.startswith(f"{prefix}_")]
