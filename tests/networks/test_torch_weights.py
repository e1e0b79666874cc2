"""PyTorch's legacy files, written here by hand: PyTorch itself is not installed."""

import collections
import io
import os
import pickle
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from lesions.networks.weights.torch_format import MAGIC, PROTOCOL, read_torch_weights


class Tensor:
    """Pickled as PyTorch pickles a tensor."""

    def __init__(self, key, offset, shape, strides, *, kind="FloatStorage", n_items=6):
        self.storage = Stored(key, kind, n_items)
        self.arguments = (offset, shape, strides, False, collections.OrderedDict())


class Stored:
    def __init__(self, key, kind, n_items):
        self.key, self.kind, self.n_items = key, kind, n_items


class Named:
    """Pickled as a name that is looked up when it is read."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Pickler(pickle._Pickler):
    """Python's own, so that names need not exist here."""

    def persistent_id(self, obj):
        if isinstance(obj, Stored):
            return "storage", Named("torch", obj.kind), obj.key, "cpu", obj.n_items, None
        return None

    def save(self, obj, **options):
        if isinstance(obj, Named):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Tensor):
            rebuild = Named("torch._utils", "_rebuild_tensor_v2")
            self.save(rebuild)
            super().save((obj.storage, *obj.arguments))
            self.write(pickle.REDUCE)
        else:
            super().save(obj, **options)


def legacy(state, storages, *, magic=MAGIC, little_endian=True, keys: Sequence[str] | None = None):
    """Return the bytes of a file; `storages` are arrays by their keys."""
    stream = io.BytesIO()
    system = {"protocol_version": PROTOCOL, "little_endian": little_endian, "type_sizes": {}}
    for content in (magic, PROTOCOL, system, state, keys or list(storages)):
        Pickler(stream, protocol=2).dump(content)
    for array in storages.values():
        stream.write(struct.pack("<q", array.size) + array.tobytes())
    return stream.getvalue()


SIX = np.arange(6, dtype="<f4")
COUNT = np.array([12], dtype="<i8")


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        (tmp_path / "a.pth").write_bytes(content)
        return read_torch_weights(tmp_path / "a.pth")

    return read_bytes


def test_tensors_are_views_with_offset_and_strides(read):
    state = collections.OrderedDict(
        rows=Tensor("1", 0, (2, 3), (3, 1)),
        columns=Tensor("1", 0, (3, 2), (1, 3)),  # transposed
        middle=Tensor("1", 2, (2,), (2,)),
        scalar=Tensor("1", 5, (), ()),
        empty=Tensor("1", 6, (0, 3), (3, 1)),
        count=Tensor("2", 0, (), (), kind="LongStorage", n_items=1),
    )
    state._metadata = collections.OrderedDict(version=1)  # as of a module's state_dict
    found = read(legacy(state, {"1": SIX, "2": COUNT}))
    expected = {
        "rows": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0, 3], [1, 4], [2, 5]],
        "middle": [2, 4],
        "scalar": 5,
        "count": 12,
    }
    assert list(found) == list(state)
    assert found["empty"].shape == (0, 3)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert {array.dtype.str for array in found.values()} == {"<f4", "<i8"}
    found["rows"][:] = 7  # arrays of their own
    assert found["columns"][0, 0] == 0


def test_a_file_that_ends_early_is_refused_wherever_it_ends(read):
    content = legacy({"a": Tensor("1", 0, (6,), (1,))}, {"1": SIX})
    assert list(read(content)) == ["a"]
    for n_bytes in range(len(content)):
        with pytest.raises(ValueError, match=r"a\.pth is not what torch\.save wrote"):
            read(content[:n_bytes])
    with pytest.raises(ValueError, match="3 bytes follow its last storage"):
        read(content + b"abc")


CODE = {
    "a function of Python": Named("builtins", "eval"),
    "a command": Named("os", "system"),
    "a dotted name": Named("collections", "OrderedDict.fromkeys"),
    "another function of PyTorch": Named("torch._utils", "_rebuild_parameter"),
    "another storage": Named("torch", "HalfStorage"),
    "a function of NumPy": Named("numpy", "load"),
}


@pytest.mark.parametrize("name", CODE.values(), ids=CODE)
def test_no_other_name_is_looked_up(read, name):
    message = f"it names {name.module}.{name.name}, which is none of the names that tensors need"
    with pytest.raises(ValueError, match=message):
        read(legacy({"a": name}, {}))


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_any_of_the_pickles_is_not_run(read, tmp_path):
    touch = Touch(tmp_path / "TOUCHED")
    for content in (legacy(touch, {}), legacy({}, {}, magic=touch), legacy({}, {}, keys=[touch])):
        with pytest.raises(ValueError, match=r"it names \w+\.mkdir"):
            read(content)
    assert not (tmp_path / "TOUCHED").exists()


def test_a_file_cannot_change_what_reads_it(read):
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(MAGIC)
    Pickler(stream, protocol=2).dump(PROTOCOL)
    Pickler(stream, protocol=2).dump({"little_endian": True})
    # The name, and BUILD with a state that sets its attribute __call__ to 1.
    stream.write(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x08__call__K\x01s\x86b.")
    with pytest.raises(ValueError, match="read-only"):
        read(stream.getvalue())


IMPOSSIBLE = {
    "longer than its storage": Tensor("1", 0, (7,), (1,)),
    "beyond the end": Tensor("1", 4, (3,), (1,)),
    "with long strides": Tensor("1", 0, (2, 3), (4, 1)),
    "before the beginning": Tensor("1", -1, (2,), (1,)),
    "backwards": Tensor("1", 5, (3,), (-1,)),
    "repeated without end": Tensor("1", 0, (10**12,), (0,)),
    "with other axes than strides": Tensor("1", 0, (2, 3), (1,)),
    "of text": Tensor("1", 0, ("2",), (1,)),
    "of a storage with another length": Tensor("1", 0, (3,), (1,), n_items=3),
    "of a storage of another type": Tensor("1", 0, (6,), (1,), kind="LongStorage"),
    "of a storage that is missing": Tensor("2", 0, (6,), (1,)),
}


@pytest.mark.parametrize("tensor", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_tensor_that_does_not_fit_is_refused(read, tensor):
    with pytest.raises(ValueError, match=r"a\.pth is not what torch\.save wrote"):
        read(legacy({"a": tensor}, {"1": SIX}))


OTHER = {
    "no weights": b"no weights",
    "another magic number": legacy({}, {}, magic=1),
    "the other order of bytes": legacy({}, {}, little_endian=False),
    "a list": legacy([1, 2], {}),
    "a whole network": legacy({"a": 1}, {}),
}


@pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
def test_another_content_is_refused(read, content):
    with pytest.raises(ValueError, match=r"a\.pth is not what torch\.save wrote"):
        read(content)


def test_pytorchs_newer_format_is_refused_with_a_way_out(read):
    with pytest.raises(ValueError, match=r"zip format of PyTorch 1\.6 .*; save it with torch"):
        read(b"PK\x03\x04")
