"""Weights in PyTorch's legacy file format, read without PyTorch and without running any code."""

import collections
import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch/serialization.py, _legacy_save
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
# What Python raises where a pickle is truncated or forged; MemoryError: for a length it made up.
FORGED = (ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, OverflowError)
FORGED += (MemoryError, RecursionError, pickle.UnpicklingError)


class Storage(NamedTuple):
    """A one-dimensional array in the file, of which tensors are views."""

    key: str
    dtype: str
    n_items: int


class View(NamedTuple):
    """A tensor: its storage, and the offset, shape and strides in items of it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """Stands for torch._utils._rebuild_tensor_v2; has no attribute that a file could set."""

    __slots__ = ()

    def __call__(self, storage, offset, shape, strides, requires_grad, hooks, metadata=None):
        return View(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Knows the names of tensors and refuses all others."""

    NAMES: ClassVar = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
        **{("torch", name): dtype for name, dtype in STORAGES.items()},
    }

    def find_class(self, module, name):
        if (module, name) not in self.NAMES:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which is none of the names that tensors need"
            )
        return self.NAMES[module, name]

    def persistent_load(self, pid):
        kind, dtype, key, _location, n_items, view = pid
        if kind != "storage" or dtype not in STORAGES.values() or view is not None:
            raise pickle.UnpicklingError(f"it has a storage of an unknown kind, {pid!r}")
        return Storage(key, dtype, n_items)


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that `torch.save` wrote of a `state_dict` before PyTorch 1.6.

    Axes are in PyTorch's order. The file is a row of pickles, the last of which lists the storages
    whose bytes follow. Names in the pickles are looked up in a list of those that tensors need, and
    never imported.

    Raises
    ------
    ValueError
        If the file is truncated, of another format, or names anything else.
    """
    content = path.read_bytes()
    if content[:2] == b"PK":
        raise ValueError(
            f"{path} is in the zip format of PyTorch 1.6 and later; save it with "
            "torch.save(..., _use_new_zipfile_serialization=False)"
        )
    stream = io.BytesIO(content)
    try:
        magic, protocol, system, state, keys = (_Unpickler(stream).load() for _ in range(5))
        if (magic, protocol, system["little_endian"]) != (MAGIC, PROTOCOL, True):
            raise ValueError("it does not begin as such a file does")
        used = {view.storage for view in state.values()}
        storages = _read_storages(stream, keys, {storage.key: storage for storage in used})
        return {str(name): _cut(storages[view.storage.key], view) for name, view in state.items()}
    except FORGED as error:
        raise ValueError(
            f"{path} is not what torch.save wrote of weights in its legacy format: {error}; get "
            "the file anew"
        ) from error


def _read_storages(
    stream: io.BytesIO, keys: list[str], used: Mapping[str, Storage]
) -> dict[str, np.ndarray]:
    """Return the storages by their keys; each is its number of items, int64, and its bytes."""
    found = {}
    for key in keys:
        storage, dtype = used[key], np.dtype(used[key].dtype)
        n_items = int.from_bytes(stream.read(8), "little", signed=True)
        if n_items != storage.n_items:
            raise ValueError(f"storage {key} has {n_items} items, not {storage.n_items}")
        values = stream.read(n_items * dtype.itemsize)
        if len(values) != n_items * dtype.itemsize:
            raise ValueError(f"it ends within storage {key}; it is truncated")
        found[key] = np.frombuffer(values, dtype)
    if rest := len(stream.read()):
        raise ValueError(f"{rest} bytes follow its last storage")
    return found


def _cut(storage: np.ndarray, view: View) -> np.ndarray:
    """Return a copy of a tensor's part of its storage."""
    pairs = list(zip(view.shape, view.strides, strict=True))
    last = view.offset + sum((n - 1) * stride for n, stride in pairs)
    n_items = math.prod(view.shape)  # a stride of 0 would repeat items without end
    if min((view.offset, *view.shape, *view.strides)) < 0 or n_items > len(storage):
        raise ValueError(f"a tensor of shape {view.shape} does not fit into its storage")
    if n_items and last >= len(storage):
        raise ValueError(f"a tensor of shape {view.shape} ends after its storage")
    strides = [stride * storage.itemsize for stride in view.strides]
    start = storage[view.offset :] if n_items else storage[:0]
    return np.lib.stride_tricks.as_strided(start, view.shape, strides).copy()
