import zipfile

import numpy as np
import pytest
from scipy import sparse

from lesions.mixing import (
    load_mixing,
    mix,
    mix_rows,
    only_images,
    over_all_images,
    save_mixing,
)

N_IMAGES = 12


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, 6, 5, 3), np.uint8)


def mixing_of(n_images, *, n_mixed=20, seed=1):
    """Give the images as they are, then weighted means of two of them."""
    rng = np.random.default_rng(seed)
    mixed = np.zeros((n_mixed, n_images), np.float32)
    for row in mixed:
        first, second = rng.choice(n_images, 2, replace=False)
        row[first] = rng.uniform()
        row[second] = 1 - row[first]
    identity = sparse.identity(n_images, dtype=np.float32)
    return sparse.vstack([identity, sparse.csr_matrix(mixed)]).tocsr()


def test_a_mixed_image_is_the_weighted_mean():
    images = np.array([[[[0, 100, 200]]], [[[100, 100, 100]]], [[[255, 255, 255]]]], np.uint8)
    mixing = sparse.csr_matrix(np.array([[0.75, 0.25, 0], [0, 0, 1], [0, 0.5, 0.5]], np.float32))
    # 3/4 of image 0 and 1/4 of image 1: 0 + 25, 75 + 25, 150 + 25.
    expected = [[25, 100, 175], [255, 255, 255], [177.5, 177.5, 177.5]]
    np.testing.assert_array_equal(mix(mixing, images).reshape(3, 3), expected)
    np.testing.assert_array_equal(
        mix_rows(mixing, images, np.array([2, 0])).reshape(2, 3), [expected[2], expected[0]]
    )


def test_no_image_at_all_can_be_mixed(images):
    none = only_images(np.array([], int), N_IMAGES)
    assert mix(none, images).shape == (0, 6, 5, 3)


def test_images_may_be_a_memory_map_of_which_only_those_asked_for_are_read(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")

    class Counted:
        shape = mapped.shape
        read = 0

        def __getitem__(self, rows):
            self.read += len(rows)
            return mapped[rows]

    counted = Counted()
    rows = mixing_of(N_IMAGES)[-3:]
    np.testing.assert_array_equal(mix(rows, counted), mix(mixing_of(N_IMAGES), images)[-3:])
    assert counted.read == len(set(rows.indices)) <= 6


def test_images_and_matrix_are_not_modified(images):
    mixing, before = mixing_of(N_IMAGES), images.copy()
    mix(mixing, images)
    over_all_images(mixing, np.arange(N_IMAGES) + 1, N_IMAGES + 1)
    np.testing.assert_array_equal(images, before)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(mixing, part), getattr(mixing_of(N_IMAGES), part))


def test_over_all_images_only_training_images_have_a_weight(images):
    trained = np.array([0, 3, 4, 7, 8, 11])
    mixing = mixing_of(len(trained))
    over_all = over_all_images(mixing, trained, N_IMAGES)
    assert over_all.shape == (mixing.shape[0], N_IMAGES)
    assert set(over_all.indices) == set(trained)
    np.testing.assert_array_equal(mix(over_all, images), mix(mixing, images[trained]))


def test_a_matrix_of_another_split_is_refused():
    message = "mixes 5 training images, the partitions have 4; run 'dvc repro'"
    with pytest.raises(ValueError, match=message):
        over_all_images(mixing_of(5), np.arange(4), 10)


def test_only_images_leaves_the_images_asked_for_as_they_are(images):
    rows = np.array([7, 2, 11])
    np.testing.assert_array_equal(mix(only_images(rows, N_IMAGES), images), images[rows])


# Files


def test_what_is_saved_is_loaded(tmp_path):
    mixing, labels = mixing_of(N_IMAGES), np.arange(32, dtype=np.uint8) % 7
    save_mixing(tmp_path / "mixing.npz", mixing, labels)
    loaded, loaded_labels = load_mixing(tmp_path / "mixing.npz")
    assert (loaded != mixing).nnz == 0
    assert (loaded.shape, loaded.dtype) == (mixing.shape, np.float32)
    np.testing.assert_array_equal(loaded_labels, labels)
    assert loaded_labels.dtype == np.uint8


def test_a_saved_matrix_can_be_read_by_scipy_alone(tmp_path):
    save_mixing(tmp_path / "mixing.npz", mixing_of(N_IMAGES), np.zeros(32, np.uint8))
    assert (sparse.load_npz(tmp_path / "mixing.npz") != mixing_of(N_IMAGES)).nnz == 0


def test_the_same_matrix_gives_the_same_bytes_at_any_time(tmp_path, monkeypatch):
    labels = np.zeros(32, np.uint8)
    save_mixing(tmp_path / "1.npz", mixing_of(N_IMAGES), labels)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    save_mixing(tmp_path / "2.npz", mixing_of(N_IMAGES), labels)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_the_bytes_of_a_saved_matrix_depend_on_no_version_of_python_or_zlib(tmp_path):
    save_mixing(tmp_path / "mixing.npz", mixing_of(N_IMAGES), np.zeros(32, np.uint8))
    with zipfile.ZipFile(tmp_path / "mixing.npz") as archive:
        marks = {(file.create_version, file.extract_version) for file in archive.infolist()}
        assert marks == {(20, 20)}  # 45 would be a zip of 64 bits, as some Pythons mark numpy's
        assert {file.compress_type for file in archive.infolist()} == {zipfile.ZIP_STORED}
