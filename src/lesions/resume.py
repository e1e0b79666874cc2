"""What an interrupted training needs to go on: written whole, or not at all."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def digest(settings: str, inputs: Iterable[Path]) -> str:
    """Name what a training follows from: its settings, its inputs and the code that is loaded.

    Parameters
    ----------
    settings
        Any text that states them whole.
    inputs
        Files and folders, by content.

    Returns
    -------
    str
        16 hexadecimal digits. `lesions.stage` and `lesions.params` do not count: their values
        are in `settings`.
    """
    code = [
        Path(module.__file__)
        for name, module in sorted(sys.modules.items())
        if name.startswith("lesions.") and name.split(".")[1] not in ("stage", "params")
    ]
    total = hashlib.sha256(settings.encode())
    for path in [*inputs, *code]:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                with file.open("rb") as stream:
                    total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:16]


def save_state(path: Path, network, optimizer, progress) -> None:
    """Write weights, optimizer and progress to `path` in one step that a kill cannot halve."""
    arrays = {
        **_numbered("network", network.get_weights()),
        **_numbered("optimizer", [np.asarray(value) for value in optimizer.variables]),
        **_numbered("best", progress.best_weights),
    }
    story = {"history": progress.history, "best_epoch": progress.best_epoch}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        np.savez(stream, story=np.array(json.dumps(story)), **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def load_state(path: Path, network, optimizer, progress):
    """Put the state at `path`, if there is one, into all three; give `progress`."""
    if not path.exists():
        return progress
    with np.load(path) as arrays:
        story = json.loads(str(arrays["story"]))
        network.set_weights(_together("network", arrays))
        kept = _together("optimizer", arrays)
        for variable, value in zip(optimizer.variables, kept, strict=True):
            variable.assign(value)
        progress.best_weights = _together("best", arrays)
    progress.history, progress.best_epoch = story["history"], story["best_epoch"]
    return progress


def _numbered(prefix: str, values: list) -> dict:
    return {f"{prefix}_{place:05}": value for place, value in enumerate(values)}


def _together(prefix: str, arrays) -> list:
    return [arrays[name] for name in sorted(arrays.files) if name.startswith(f"{prefix}_")]
