"""Saved networks: `.keras` archives whose bytes depend on nothing but their content."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lesions.networks.backend import keras

DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can hold


def save_network(
    network: keras.Model,
    path: Path,
    *,
    trained_on: Mapping[str, str] | None = None,
    encoding: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Save an uncompiled network as `.keras`, the same bytes for the same network.

    Keras writes the current time, and `shared_object_id` numbers from Python's `id()`. The time is
    replaced by a fixed one, the numbers by their order of appearance.

    Parameters
    ----------
    trained_on
        What `lesions.training.machine.describe_machine` returned; kept in the archive's
        `metadata.json`.
    encoding
        What `lesions.networks.metadata.choose_encoding` returned; kept there as well.
    """
    facts = {"date_saved": "1980-01-01@00:00:00"}
    if trained_on:
        facts["trained_on"] = dict(trained_on)
    if encoding:
        facts["encoding"] = dict(encoding)
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.saving.save_model(network, path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps(json.loads(content) | facts).encode()
            elif name == "config.json":
                content = json.dumps(_renumber(json.loads(content), {})).encode()
            new.writestr(zipfile.ZipInfo(name, DATE), content)


def load_network(path: Path) -> keras.Model:
    """Load a `.keras` archive in Keras' safe mode, uncompiled."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def read_trained_on(path: Path) -> dict[str, str]:
    """Return the machine and library versions that trained a network; empty if not recorded."""
    return _read_facts(path).get("trained_on", {})


def read_encoding(path: Path) -> dict[str, list[str]]:
    """Return how a network's metadata are encoded; empty if it reads none."""
    return _read_facts(path).get("encoding", {})


def _read_facts(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("metadata.json"))


def _renumber(config, numbers: dict):
    """Return `config` with every shared_object_id replaced by its order of appearance."""
    if isinstance(config, dict):
        return {
            key: numbers.setdefault(value, len(numbers))
            if key == "shared_object_id"
            else _renumber(value, numbers)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_renumber(item, numbers) for item in config]
    return config
