import io
import re
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.medmnist import PARTITIONS, find_arrays, write_photographs
from lesions.metadata import read_metadata
from lesions.taxonomy import CODES, COLUMNS, METADATA, PARTS

COUNTS = {"train": 14, "val": 7, "test": 8}


def arrays(size=28):
    """Smooth photographs of every diagnosis, as MedMNIST keeps them: labels in a column."""
    rng = np.random.default_rng(size)
    made = {}
    for partition, n in COUNTS.items():
        coarse = rng.integers(0, 256, (n, 4, 4, 3), np.uint8)
        images = [
            cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse
        ]
        made[f"{partition}_images"] = np.stack(images)
        made[f"{partition}_labels"] = (np.arange(n) % 7).astype(np.uint8).reshape(-1, 1)
    return made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_every_array_becomes_its_photograph_with_its_label_and_partition(tmp_path, folder, size):
    made = arrays(size)
    np.savez_compressed(tmp_path / "dermamnist.npz", **made)
    written = write_photographs(tmp_path / "dermamnist.npz", folder)
    metadata = read_metadata(folder / METADATA)
    pd.testing.assert_frame_equal(metadata, written)
    assert tuple(metadata.columns) == (*COLUMNS, "partition")
    assert metadata["partition"].value_counts().to_dict() == COUNTS
    assert metadata["lesion_id"].tolist() == metadata["image_id"].tolist()
    assert (metadata[["dx_type", "age", "sex", "localization"]] == "").all(axis=None)
    for partition in PARTITIONS:
        rows = metadata[metadata["partition"] == partition]
        labels = made[f"{partition}_labels"][:, 0]
        assert rows["dx"].tolist() == [CODES[label] for label in labels]
        for image_id, image in zip(rows["image_id"], made[f"{partition}_images"], strict=True):
            path = folder / PARTS[partition != "train"] / f"{image_id}.jpg"
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
    rgb = cv2.imread(str(folder / PARTS[0] / "DERMAMNIST_train_00000.jpg"))[:, :, ::-1]
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
        r"val_images must be uint8 \(n, size, size, 3\) of 28, .* px; it is float64 \(7, 28, 28",
    ),
    "another size": (spoilt(val_images=np.zeros((7, 30, 30, 3), np.uint8)), r"uint8 \(7, 30, 30"),
    "grey": (spoilt(val_images=np.zeros((7, 28, 28), np.uint8)), r"uint8 \(7, 28, 28\);"),
    "too few labels": (spoilt(val_labels=SEVEN[:6]), r"one for each of 7 images; it is \(6,\)"),
    "a label 7": (
        spoilt(val_labels=SEVEN + 1),
        "from 0 to 6; it is uint8 with 1, 2, 3, 4, 5, 6, 7",
    ),
    "labels in words": (
        spoilt(val_labels=np.array(["nv"] * 7)),
        "whole numbers from 0 to 6; it is",
    ),
    "pickled objects": (
        spoilt(train_images=np.array([{"no": "array"}], dtype=object)),
        "allow_pickle=False",
    ),
}


@pytest.mark.parametrize(("made", "message"), FAULTS.values(), ids=FAULTS)
def test_arrays_that_are_not_dermamnists_are_refused(tmp_path, folder, made, message):
    np.savez(tmp_path / "a.npz", **made)
    with pytest.raises(ValueError, match=rf"(?s)^data\.path must be .*a\.npz is not: .*{message}"):
        write_photographs(tmp_path / "a.npz", folder)


@pytest.mark.parametrize("n_bytes", [100, 10_000])
def test_a_file_cut_short_is_refused(tmp_path, folder, n_bytes):
    np.savez(tmp_path / "a.npz", **arrays())
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"a\.npz is not: .*; download it again"):
        write_photographs(tmp_path / "a.npz", folder)


def at(place, value):
    """Damage: write `value` at `place` behind the last `PK12`, which lists the last array."""

    def damage(content):
        start = content.rindex(b"PK\1\2") + place
        return content[:start] + value + content[start + len(value) :]

    return damage


def headers(old, new):
    """Damage, or another writer's fault: the same archive, with sound sums over other headers."""

    def damage(content):
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old_one, zipfile.ZipFile(changed, "w") as one:
            for name in old_one.namelist():
                one.writestr(name, old_one.read(name).replace(old, new))
        return changed.getvalue()

    return damage


# Where things lie behind PK12: the needed version at 6, flags at 8, the compression at 10.
DAMAGES = {
    "nothing left": (lambda content: b"", "it is empty"),
    "a page": (lambda content: b"<html>Log in", "it is no .npz, which is a zip archive"),
    "an unknown version": (at(6, b"\xad"), "zip file version 17.3"),
    "a password": (at(8, b"\x01"), "is encrypted, password required"),
    "a patch": (at(8, b"\x20"), "compressed patched data"),
    "an unknown compression": (at(10, b"\x2a"), "it is compressed as no .npz is"),
    "another compression": (at(10, b"\x0e"), "it is compressed as no .npz is"),
    "a changed pixel": (
        lambda content: content[:5000] + b"?" + content[5001:],
        r"train_images\.npy in it is damaged",
    ),
    # Nearly 10¹³ bytes, which no memory has: whether the sums are right is asked before.
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
    "no array": (headers(b"\x93NUMPY", b"numbers"), "train_labels must be numpy's arrays"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(tmp_path, folder, damage, message):
    np.savez(tmp_path / "a.npz", **arrays())
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(damage(whole))
    assert damage(whole) != whole
    with pytest.raises(ValueError, match=rf"a\.npz is not: .*{message}.*; download it again f"):
        write_photographs(tmp_path / "a.npz", folder)


def test_a_file_with_any_bytes_changed_is_refused_or_whole(tmp_path):
    np.savez(tmp_path / "whole.npz", **arrays())
    whole = (tmp_path / "whole.npz").read_bytes()
    near = [match.start() + n for match in re.finditer(b"PK", whole) for n in range(200)]
    rng = np.random.default_rng(0)
    ends = {"refused": 0, "whole": 0}
    for n in range(200):
        damaged = bytearray(whole)
        for place in rng.choice(near, 2):
            damaged[place % len(whole)] = rng.integers(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        folder = tmp_path / str(n)
        folder.mkdir()
        try:
            write_photographs(tmp_path / "a.npz", folder)
        except ValueError as error:
            assert re.search(r"a\.npz is not: .+; download it again", str(error))  # noqa: PT017
            ends["refused"] += 1
        else:
            # 14 photographs to train on, 7 and 8 others.
            assert len(list(folder.rglob("*.jpg"))) == 14 + 7 + 8
            ends["whole"] += 1
    assert min(ends.values()) > 10


def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"a\.npy is a file of another kind; name the \.npz in da"):
        find_arrays(tmp_path / "a.npy")


def test_the_arrays_are_found_in_a_folder_or_named(tmp_path):
    with pytest.raises(ValueError, match=r"with one; .* has none; download it from medmnist.com"):
        find_arrays(tmp_path)
    (tmp_path / "dermamnist_64.npz").touch()
    assert find_arrays(tmp_path) == tmp_path / "dermamnist_64.npz"
    (tmp_path / "dermamnist.npz").touch()
    message = r"has dermamnist\.npz, dermamnist_64\.npz; name one of them in data\.path"
    with pytest.raises(ValueError, match=message):
        find_arrays(tmp_path)
    assert find_arrays(tmp_path / "dermamnist.npz") == tmp_path / "dermamnist.npz"
