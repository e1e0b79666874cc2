import io
import re
import zipfile

import cv2
import numpy as np
import pytest
from made_up import CODES

from lesions.datasets.ham10000 import COLUMNS, IMAGE_FOLDERS, METADATA
from lesions.datasets.medmnist import PARTITIONS, find_arrays, write_photographs
from lesions.datasets.metadata import read_metadata

COUNTS = {"train": 14, "val": 7, "test": 8}


def arrays(side=28):
    """Smooth photographs of every diagnosis, as MedMNIST keeps them: labels in a column."""
    rng = np.random.default_rng(side)
    made = {}
    for partition, n in COUNTS.items():
        coarse = rng.integers(0, 256, (n, 4, 4, 3), np.uint8)
        images = [
            cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in coarse
        ]
        made[f"{partition}_images"] = np.stack(images)
        made[f"{partition}_labels"] = (np.arange(n) % 7).astype(np.uint8).reshape(-1, 1)
    return made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("side", [28, 64, 128, 224])
def test_every_array_becomes_its_photograph_with_its_label_and_partition(tmp_path, folder, side):
    made = arrays(side)
    np.savez_compressed(tmp_path / "dermamnist.npz", **made)
    write_photographs(tmp_path / "dermamnist.npz", folder)
    metadata = read_metadata(folder / METADATA)
    assert tuple(metadata.columns) == (*COLUMNS, "partition")
    assert metadata["partition"].value_counts().to_dict() == COUNTS
    assert metadata["lesion_id"].tolist() == metadata["image_id"].tolist()
    assert (metadata[["dx_type", "age", "sex", "localization"]] == "").all(axis=None)
    for partition in PARTITIONS:
        rows = metadata[metadata["partition"] == partition]
        labels = made[f"{partition}_labels"][:, 0]
        assert rows["dx"].tolist() == [CODES[label] for label in labels]
        for image_id, image in zip(rows["image_id"], made[f"{partition}_images"], strict=True):
            path = folder / IMAGE_FOLDERS[partition != "train"] / f"{image_id}.jpg"
            rgb = cv2.imread(str(path))[:, :, ::-1]
            # Quality 100 quantises by 1; what is left is rounding, in YCbCr and back.
            assert np.abs(rgb.astype(int) - image).max() <= 4


def test_colours_keep_their_full_resolution(tmp_path, folder):
    # Single red pixels on green: halved in resolution, as JPEGs usually are, the colours would mix.
    made = arrays()
    made["train_images"][0] = (0, 255, 0)
    made["train_images"][0, ::2, ::2] = (255, 0, 0)
    np.savez(tmp_path / "a.npz", **made)
    write_photographs(tmp_path / "a.npz", folder)
    rgb = cv2.imread(str(folder / IMAGE_FOLDERS[0] / "DERMAMNIST_train_00000.jpg"))[:, :, ::-1]
    assert np.abs(rgb.astype(int) - made["train_images"][0]).max() <= 4


def spoilt(**changes):
    made = arrays() | changes
    return {key: value for key, value in made.items() if value is not None}


SEVEN = np.arange(7, dtype=np.uint8)
FAULTS = {
    "a missing array": (
        spoilt(val_labels=None),
        "it lacks val_labels and has train_images, train_",
    ),
    "pixels as floats": (
        spoilt(val_images=np.zeros((7, 28, 28, 3))),
        r"val_images is float64 \(7, 28, 28, 3\), not uint8 \(n, side, side, 3\) with a side of 2",
    ),
    "another size": (
        spoilt(val_images=np.zeros((7, 30, 30, 3), np.uint8)),
        r"is uint8 \(7, 30, 30, 3\), not ",
    ),
    "grey": (spoilt(val_images=np.zeros((7, 28, 28), np.uint8)), r"is uint8 \(7, 28, 28\), not "),
    "too few labels": (spoilt(val_labels=SEVEN[:6]), r"val_labels is \(6,\) for 7 images"),
    "a label 7": (
        spoilt(val_labels=SEVEN + 1),
        "is uint8 with the values 1, 2, 3, 4, 5, 6, 7, not integers from 0 to 6",
    ),
    "labels in words": (
        spoilt(val_labels=np.array(["nv"] * 7)),
        "with the values nv, not integers from 0 to 6",
    ),
    "pickled objects": (
        spoilt(train_images=np.array([{"no": "array"}], dtype=object)),
        "allow_pickle=False",
    ),
}


@pytest.mark.parametrize(("made", "message"), FAULTS.values(), ids=FAULTS)
def test_arrays_that_are_not_dermamnists_are_refused(tmp_path, folder, made, message):
    np.savez(tmp_path / "a.npz", **made)
    with pytest.raises(
        ValueError, match=rf"(?s)a\.npz does not hold DermaMNIST's arrays: .*{message}"
    ):
        write_photographs(tmp_path / "a.npz", folder)


@pytest.mark.parametrize("n_bytes", [100, 10_000])
def test_a_file_cut_short_is_refused(tmp_path, folder, n_bytes):
    np.savez(tmp_path / "a.npz", **arrays())
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"a\.npz does not hold .*; download it again"):
        write_photographs(tmp_path / "a.npz", folder)


def at(offset, value):
    """Damage: write `value` at `offset` after the last `PK12`, the entry of the last array."""

    def damage(content):
        start = content.rindex(b"PK\1\2") + offset
        return content[:start] + value + content[start + len(value) :]

    return damage


def headers(old, new):
    """Damage: the same archive, with correct checksums of other headers."""

    def damage(content):
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old_one, zipfile.ZipFile(changed, "w") as one:
            for name in old_one.namelist():
                one.writestr(name, old_one.read(name).replace(old, new))
        return changed.getvalue()

    return damage


# Offsets after PK12: the needed version at 6, flags at 8, the compression at 10.
DAMAGES = {
    "nothing left": (lambda content: b"", "it is empty"),
    "a page": (lambda content: b"<html>Log in", "it is not a zip archive, as .npz files are"),
    "an unknown version": (at(6, b"\xad"), "zip file version 17.3"),
    "a password": (at(8, b"\x01"), "is encrypted, password required"),
    "a patch": (at(8, b"\x20"), "compressed patched data"),
    "an unknown compression": (at(10, b"\x2a"), "it has a compression that .npz files do not use"),
    "another compression": (at(10, b"\x0e"), "it has a compression that .npz files do not use"),
    "a changed pixel": (
        lambda content: content[:5000] + b"?" + content[5001:],
        r"train_images\.npy in it is damaged",
    ),
    # Nearly 10¹³ bytes, more than any memory: checksums are verified first.
    "a changed header": (
        lambda content: content.replace(b"(14, 28, 28, 3)", b"(9999999999999)", 1),
        r"train_images\.npy in it is damaged",
    ),
    "a header without its end": (headers(b"(14, 1), }", b"(14, 1    "), "an array's header cannot"),
    "a type of no grammar": (headers(b"|u1", b"|,1"), "an array's header cannot be read"),
    "a size beyond 64 bits": (
        headers(b"3), }" + b" " * 20, b"3" * 20 + b"), } "),
        "too large to convert",
    ),
    "no array": (headers(b"\x93NUMPY", b"numbers"), "or train_labels is not an array"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(tmp_path, folder, damage, message):
    np.savez(tmp_path / "a.npz", **arrays())
    complete = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(damage(complete))
    assert damage(complete) != complete
    with pytest.raises(ValueError, match=rf"a\.npz does not hold .*{message}.*; download it aga"):
        write_photographs(tmp_path / "a.npz", folder)


def test_a_file_with_any_bytes_changed_is_refused_or_complete(tmp_path):
    np.savez(tmp_path / "complete.npz", **arrays())
    complete = (tmp_path / "complete.npz").read_bytes()
    near = [match.start() + n for match in re.finditer(b"PK", complete) for n in range(200)]
    rng = np.random.default_rng(0)
    ends = {"refused": 0, "complete": 0}
    for n in range(200):
        damaged = bytearray(complete)
        for offset in rng.choice(near, 2):
            damaged[offset % len(complete)] = rng.integers(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        folder = tmp_path / str(n)
        folder.mkdir()
        try:
            write_photographs(tmp_path / "a.npz", folder)
        except ValueError as error:
            assert re.search(r"a\.npz does not hold .*: .+; download it again", str(error))  # noqa: PT017
            ends["refused"] += 1
        else:
            # 14 photographs to train on, 7 and 8 others.
            assert len(list(folder.rglob("*.jpg"))) == 14 + 7 + 8
            ends["complete"] += 1
    assert min(ends.values()) > 10


def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(
        ValueError, match=r"a\.npy is not a dermamnist\*\.npz .*; set x\.path to one"
    ):
        find_arrays(tmp_path / "a.npy", setting="x.path")


def test_the_arrays_are_found_in_a_folder_or_named(tmp_path):
    with pytest.raises(ValueError, match=r"\(found none\); set x\.path to one, downloaded from m"):
        find_arrays(tmp_path, setting="x.path")
    (tmp_path / "dermamnist_64.npz").touch()
    assert find_arrays(tmp_path, setting="x.path") == tmp_path / "dermamnist_64.npz"
    (tmp_path / "dermamnist.npz").touch()
    message = r"with exactly one \(found dermamnist\.npz, dermamnist_64\.npz\); set x\.path to one"
    with pytest.raises(ValueError, match=message):
        find_arrays(tmp_path, setting="x.path")
    assert find_arrays(tmp_path / "dermamnist.npz", setting="x.path") == tmp_path / "dermamnist.npz"
