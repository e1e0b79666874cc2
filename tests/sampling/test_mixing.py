import zipfile

import numpy as np
import pytest
from scipy import sparse

from lesions.sampling.mixing import (
    index_all_images,
    load_mixing,
    mix,
    save_mixing,
    select_images,
)

N_IMAGES = 12


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, 6, 5, 3), np.uint8)


def make_mixing(n_images, *, n_mixed=20, seed=1):
    """Return the identity, then weighted means of two images."""
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
    some = mix(mixing[np.array([2, 0])], images).reshape(2, 3)
    np.testing.assert_array_equal(some, [expected[2], expected[0]])


def test_a_matrix_without_rows_can_be_multiplied(images):
    none = select_images(np.array([], int), N_IMAGES)
    assert mix(none, images).shape == (0, 6, 5, 3)


def test_only_the_images_that_are_needed_are_read_from_a_memory_map(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")

    class Counted:
        shape = mapped.shape
        read = 0

        def __getitem__(self, rows):
            self.read += len(rows)
            return mapped[rows]

    counted = Counted()
    rows = make_mixing(N_IMAGES)[-3:]
    np.testing.assert_array_equal(mix(rows, counted), mix(make_mixing(N_IMAGES), images)[-3:])
    assert counted.read == len(set(rows.indices)) <= 6


def test_images_and_matrix_are_not_modified(images):
    mixing, before = make_mixing(N_IMAGES), images.copy()
    mix(mixing, images)
    index_all_images(mixing, np.arange(N_IMAGES) + 1, N_IMAGES + 1)
    np.testing.assert_array_equal(images, before)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(mixing, name), getattr(make_mixing(N_IMAGES), name))


def test_re_indexed_only_training_images_have_weights(images):
    train_rows = np.array([0, 3, 4, 7, 8, 11])
    mixing = make_mixing(len(train_rows))
    indexed = index_all_images(mixing, train_rows, N_IMAGES)
    assert indexed.shape == (mixing.shape[0], N_IMAGES)
    assert set(indexed.indices) == set(train_rows)
    np.testing.assert_array_equal(mix(indexed, images), mix(mixing, images[train_rows]))


def test_a_matrix_of_another_split_is_refused():
    message = (
        "matrix has 5 columns, but the partitions have 4 training images; run 'dvc repro balance'"
    )
    with pytest.raises(ValueError, match=message):
        index_all_images(make_mixing(5), np.arange(4), 10)


def test_selected_images_stay_as_they_are(images):
    rows = np.array([7, 2, 11])
    np.testing.assert_array_equal(mix(select_images(rows, N_IMAGES), images), images[rows])


# Files


def test_a_saved_matrix_is_loaded_with_its_labels(tmp_path):
    mixing, labels = make_mixing(N_IMAGES), np.arange(32, dtype=np.uint8) % 7
    save_mixing(tmp_path / "mixing.npz", mixing, labels)
    loaded, loaded_labels = load_mixing(tmp_path / "mixing.npz")
    assert (loaded != mixing).nnz == 0
    assert (loaded.shape, loaded.dtype) == (mixing.shape, np.float32)
    np.testing.assert_array_equal(loaded_labels, labels)
    assert loaded_labels.dtype == np.uint8


def test_a_saved_matrix_can_be_read_by_scipy_alone(tmp_path):
    save_mixing(tmp_path / "mixing.npz", make_mixing(N_IMAGES), np.zeros(32, np.uint8))
    assert (sparse.load_npz(tmp_path / "mixing.npz") != make_mixing(N_IMAGES)).nnz == 0


def test_a_saved_matrix_has_the_same_bytes_at_any_time(tmp_path, monkeypatch):
    labels = np.zeros(32, np.uint8)
    save_mixing(tmp_path / "1.npz", make_mixing(N_IMAGES), labels)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    save_mixing(tmp_path / "2.npz", make_mixing(N_IMAGES), labels)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_the_bytes_of_a_saved_matrix_depend_on_no_version_of_python_or_zlib(tmp_path):
    save_mixing(tmp_path / "mixing.npz", make_mixing(N_IMAGES), np.zeros(32, np.uint8))
    with zipfile.ZipFile(tmp_path / "mixing.npz") as archive:
        versions = {(file.create_version, file.extract_version) for file in archive.infolist()}
        assert versions == {(20, 20)}  # 45 would be ZIP64, as numpy.savez has under some Pythons
        assert {file.compress_type for file in archive.infolist()} == {zipfile.ZIP_STORED}
