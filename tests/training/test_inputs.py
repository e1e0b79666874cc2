import cv2
import numpy as np
import pytest
from scipy import sparse

from lesions.networks import cnn, dense
from lesions.networks.saving import save_network
from lesions.training.inputs import open_inputs

PARTITION = np.array(["train", "val", "train", "test", "train", "cal"])
LABELS = np.array([5, 4, 2, 0, 5, 1])
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
# Three training images (rows 0, 2 and 4 of all images), then two means of them.
MIXING = sparse.csr_matrix(
    np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.75, 0, 0.25], [0, 0.5, 0.5]])
)
MIXED_LABELS = np.uint8([5, 2, 5, 5, 2])
RESIZE = {"interpolation": "area", "crop": "none", "decode": "full"}
NO_METADATA = np.empty((6, 0), np.float32)
METADATA = np.float32([[1.2, 1], [0, 0], [0, 0], [9, 9], [-0.4, 1], [9, 9]])  # age, age known


@pytest.fixture
def images(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    return tmp_path / "images.npy"


@pytest.fixture
def raw(tmp_path):
    """The folder of photographs that are the images, without loss."""
    (tmp_path / "raw").mkdir()
    for row, image in enumerate(IMAGES):
        cv2.imwrite(str(tmp_path / f"raw/{row}.png"), image[..., ::-1])
    return tmp_path / "raw"


@pytest.fixture
def features(tmp_path, images):
    """The folder of a backbone with six features: those of 5 mixed images and of 1 val image."""
    folder = tmp_path / "backbone"
    settings = {"filters": [2], "dense_units": [], "dropout": 0, "batch_norm_momentum": 0.9}
    backbone = cnn.build(IMAGES, 6, input_pixels=8, **settings)
    save_network(backbone, folder / "backbone.keras")
    np.save(folder / "train.npy", np.arange(30, dtype=np.float32).reshape(5, 6))
    np.save(folder / "val.npy", np.full((1, 6), 7, np.float32))
    return folder


def open_(
    path,
    *,
    rows="resampled",
    monitor="none",
    metadata=NO_METADATA,
    partition=PARTITION,
    mixing=MIXING,
    pixels=8,
):
    return open_inputs(
        path,
        images=path.parent / "images.npy",
        mixing=mixing,
        mixed_labels=MIXED_LABELS,
        labels=LABELS,
        metadata=metadata,
        partition=partition,
        rows=rows,
        monitor=monitor,
        image_paths=[f"{row}.png" for row in range(len(IMAGES))],
        resize=RESIZE | {"pixels": pixels},
    )


def test_resampled_images_are_means_of_training_images(images):
    inputs = open_(images)
    found = inputs.read(np.array([4, 1, 3]))
    pixels = IMAGES.astype(np.float32)
    expected = [pixels[[2, 4]].mean(axis=0), pixels[2], 0.75 * pixels[0] + 0.25 * pixels[4]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32
    assert inputs.labels.tolist() == [5, 2, 5, 5, 2]
    assert inputs.backbone is None


def test_without_resampling_the_rows_are_the_training_images(images):
    inputs = open_(images, rows="train")
    assert inputs.labels.tolist() == [5, 2, 5]
    np.testing.assert_array_equal(inputs.read(np.arange(3)), IMAGES[[0, 2, 4]])


def test_metadata_of_resampled_images_are_means_of_their_parents(images):
    inputs, batch = open_(images, metadata=METADATA), np.array([3, 4, 1])
    found = inputs.read(batch)
    assert sorted(found) == ["metadata", "pixels"]
    np.testing.assert_array_equal(found["pixels"], open_(images).read(batch))
    # Row 3 is 3/4 of image 0 and 1/4 of image 4: 0.75 * 1.2 - 0.25 * 0.4 = 0.8. Row 4 is half of
    # image 2, whose age is missing, and half of image 4: half an age, and half known.
    np.testing.assert_allclose(found["metadata"], [[0.8, 1], [-0.2, 0.5], [0, 0]], rtol=1e-6)
    assert found["metadata"].dtype == np.float32


def test_metadata_stay_beside_their_images(images):
    inputs = open_(images, metadata=METADATA, rows="train")
    found = inputs.read(np.array([2, 0]))
    np.testing.assert_array_equal(found["metadata"], METADATA[[4, 0]])
    np.testing.assert_array_equal(found["pixels"], IMAGES[[4, 0]])
    rows, _ = inputs.validation
    np.testing.assert_array_equal(rows["metadata"], METADATA[[1]])
    np.testing.assert_array_equal(rows["pixels"], IMAGES[[1]])
    assert inputs.features.shape[1:] == (8, 8, 3)


def test_a_network_on_images_is_built_for_their_shape_alone(images):
    inputs = open_(images)
    assert inputs.features.shape == (0, 8, 8, 3)  # nothing to measure on, test images least of all
    assert inputs.read(np.array([0])).shape == (1, 8, 8, 3)


@pytest.mark.parametrize("metadata", [NO_METADATA, METADATA], ids=["pixels", "metadata"])
@pytest.mark.parametrize("rows", ["resampled", "train"])
def test_photographs_are_read_as_their_stored_array_would_be(images, raw, rows, metadata):
    stored, read = (open_(path, rows=rows, metadata=metadata) for path in (images, raw))
    assert read.features.shape == stored.features.shape
    assert read.labels.tolist() == stored.labels.tolist()
    assert read.backbone is None
    batch = np.array([2, 0, 1])
    np.testing.assert_equal(read.read(batch), stored.read(batch))
    np.testing.assert_equal(read.validation, stored.validation)


def test_photographs_are_read_at_the_size_of_the_model(raw):
    inputs = open_(raw, pixels=16, rows="train")
    assert inputs.features.shape == (0, 16, 16, 3)
    expected = cv2.resize(IMAGES[4], (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(inputs.read(np.array([2]))[0], expected)


def test_a_missing_photograph_is_named(raw):
    (raw / "4.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"raw/4\.png"):
        open_(raw, rows="train").read(np.array([2]))


def test_the_images_of_val_choose_the_epoch(images):
    rows, labels = open_(images).validation
    np.testing.assert_array_equal(rows, IMAGES[[1]])
    assert labels.tolist() == [4]


@pytest.mark.parametrize("source", ["images", "features"])
def test_test_images_are_taken_only_to_be_monitored(source, request):
    path = request.getfixturevalue(source)
    assert open_(path).monitored is None
    inputs = open_(path, monitor="test")
    rows, labels = inputs.monitored
    assert labels.tolist() == [0]
    pixels = IMAGES[[3]].astype(np.float32)
    expected = pixels if inputs.backbone is None else inputs.backbone(pixels, training=False)
    np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_metadata_are_monitored_beside_their_images(images):
    rows, _ = open_(images, metadata=METADATA, monitor="test").monitored
    np.testing.assert_array_equal(rows["metadata"], METADATA[[3]])
    np.testing.assert_array_equal(rows["pixels"], IMAGES[[3]])


@pytest.mark.parametrize("source", ["images", "features"])
def test_without_images_of_val_there_is_no_validation(source, request):
    partition = np.where(PARTITION == "val", "test", PARTITION)
    assert open_(request.getfixturevalue(source), partition=partition).validation is None


def test_features_are_read_as_they_were_stored(features):
    inputs = open_(features)
    assert isinstance(inputs.features, np.memmap)
    np.testing.assert_array_equal(inputs.read(np.array([4, 0])), [range(24, 30), range(6)])
    assert inputs.read(np.array([0])).dtype == np.float32
    assert inputs.labels.tolist() == [5, 2, 5, 5, 2]
    rows, labels = inputs.validation
    assert rows.tolist() == [[7] * 6]
    assert labels.tolist() == [4]


def test_without_resampling_only_the_features_of_training_images_are_read(features):
    inputs = open_(features, rows="train")
    assert inputs.features.shape == (3, 6)
    assert inputs.labels.tolist() == [5, 2, 5]
    with pytest.raises(IndexError):
        inputs.read(np.array([3]))


def test_a_network_on_pixels_is_the_end_to_end_network(images):
    network = object()
    assert open_(images).end_to_end(network) is network


def test_the_end_to_end_network_of_features_takes_pixels(features):
    inputs = open_(features)
    settings = {"standardize_features": True, "dense_units": [4], "dropout": 0.3}
    head = dense.build(inputs.features, 7, **settings)
    network = inputs.end_to_end(head)
    pixels = IMAGES.astype(np.float32)
    probabilities = network(pixels, training=False)
    assert probabilities.shape == (6, 7)
    expected = head(inputs.backbone(pixels, training=False), training=False)
    np.testing.assert_array_equal(probabilities, expected)


def test_images_of_another_size_are_refused(images):
    message = r"images\.npy holds images of 8 × 8 × 3, but resize\.pixels is 16; delete it and"
    with pytest.raises(ValueError, match=message):
        open_(images, pixels=16)


def test_a_mixing_matrix_of_another_split_is_refused(images):
    message = "The mixing matrix has 2 columns, but the partitions have 3 training images; run"
    with pytest.raises(ValueError, match=message):
        open_(images, mixing=MIXING[:, :2])
