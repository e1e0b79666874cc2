"""Keras archives whose bytes depend on nothing but the network."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lesions.runtime import keras

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can state


def save_network(
    network: keras.Model, path: Path, *, trained_on: Mapping[str, str] | None = None
) -> None:
    """Save an uncompiled network as `.keras`, the same bytes for the same network.

    Keras writes the time of saving and `shared_object_id`, a number that Python's `id()` gives;
    both are replaced: the time by a fixed one, the numbers by their order of appearance.

    Parameters
    ----------
    trained_on
        What `lesions.machine.describe_machine` returned, to be kept in the archive's metadata.
    """
    fixed = {"date_saved": "1980-01-01@00:00:00"}
    if trained_on:
        fixed["trained_on"] = dict(trained_on)
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.saving.save_model(network, path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "metadata.json":
                content = _rewrite(content, lambda data: data | fixed)
            elif name == "config.json":
                content = _rewrite(content, lambda data: _renumber(data, {}))
            new.writestr(zipfile.ZipInfo(name, _DATE), content)


def load_network(path: Path) -> keras.Model:
    """Load a `.keras` archive in Keras' safe mode, uncompiled."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def read_trained_on(path: Path) -> dict[str, str]:
    """Return what a `.keras` archive says of the machine that trained it, if anything."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("metadata.json")).get("trained_on", {})


def _rewrite(content: bytes, change) -> bytes:
    return json.dumps(change(json.loads(content))).encode()


def _renumber(part, seen: dict):
    """Give `part` with every shared_object_id replaced by its order of first appearance."""
    if isinstance(part, dict):
        return {
            key: seen.setdefault(value, len(seen))
            if key == "shared_object_id"
            else _renumber(value, seen)
            for key, value in part.items()
        }
    if isinstance(part, list):
        return [_renumber(item, seen) for item in part]
    return part
