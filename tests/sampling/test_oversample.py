import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from made_up import CODES, LABELS
from scipy import sparse

from lesions.datasets.metadata import read_metadata
from lesions.imaging.images import read_image
from lesions.sampling.mixing import mix
from lesions.sampling.oversample import count_rows, oversample

METHODS = ["adasyn", "smote", "random"]
# Uneven classes; the largest is 5, as nv is in HAM10000.
SIZES = [12, 16, 30, 9, 25, 60, 8]


def own_sampler(method, seed):
    """imbalanced-learn's own, as anybody would call it."""
    return {
        "adasyn": ADASYN(random_state=seed, n_neighbors=5),
        "smote": SMOTE(random_state=seed, k_neighbors=5),
        "random": RandomOverSampler(random_state=seed),
    }[method]


def resample(images, labels, *, method="adasyn", n_neighbors=5, seed=3):
    rows = np.arange(len(images))
    return oversample(
        images, rows, labels, method=method, n_neighbors=n_neighbors, seed=seed, codes=CODES
    )


def count(labels, resampled):
    """Return the counts before and after over-sampling, lists of seven."""
    table = count_rows(labels, resampled, codes=CODES)
    assert list(table) == ["dx", "rows", "n_images"]
    counts = table.pivot(index="dx", columns="rows", values="n_images").loc[list(CODES)]
    return counts["train"].tolist(), counts["resampled"].tolist()


def synthetic():
    """Images whose classes overlap, in mixed order."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(range(7), SIZES))
    brightness = 90 + 10 * labels[:, None, None, None]
    images = brightness + rng.normal(0, 40, (len(labels), 6, 5, 3))
    return images.clip(0, 255).astype(np.uint8), labels


def photographs(folder):
    """Real ones, 30 of each class and 120 of nv."""
    metadata = read_metadata(folder / "HAM10000_metadata.csv")
    chosen = metadata[metadata.groupby("dx").cumcount() < 30 + 90 * (metadata["dx"] == "nv")]
    files = {path.stem: path for path in folder.rglob("*.jpg")}
    images = np.stack([read_image(files[image_id]) for image_id in chosen["image_id"]])
    return images, chosen["dx"].map(LABELS).to_numpy()


@pytest.fixture(scope="module", params=["synthetic", "photographs"])
def world(request, shared):
    return synthetic() if request.param == "synthetic" else photographs(shared("ham10000_28"))


# The same as imbalanced-learn on the pixels themselves


@pytest.mark.parametrize("method", METHODS)
def test_mixed_images_are_those_of_imbalanced_learn(world, method):
    images, labels = world
    pixels = images.reshape(len(images), -1).astype(np.float32)
    expected, expected_labels = own_sampler(method, seed=3).fit_resample(pixels, labels)
    mixing, mixed_labels = resample(images, labels, method=method)
    np.testing.assert_array_equal(mixed_labels, expected_labels)
    mixed = mix(mixing, images)
    assert mixed.dtype == np.float32
    assert mixed.shape == (len(expected), *images.shape[1:])
    # Two float32 roundings of numbers up to 255: 255 * 2 ** -24 * 2 = 3e-5.
    np.testing.assert_allclose(mixed.reshape(len(expected), -1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", [*METHODS, "none"])
def test_rows_of_the_mixing_matrix_are_weighted_means_of_at_most_two_images_of_one_class(
    world, method
):
    images, labels = world
    mixing, mixed_labels = resample(images, labels, method=method)
    assert mixing.dtype == np.float32
    assert mixed_labels.dtype == np.uint8
    assert mixing.shape == (len(mixed_labels), len(labels))
    assert mixing.getnnz(axis=1).max() <= 2
    assert mixing.data.min() > 0
    np.testing.assert_allclose(mixing.sum(axis=1), 1, rtol=0, atol=1e-6)
    identity = sparse.identity(len(labels), dtype=np.float32)
    assert (mixing[: len(labels)] != identity).nnz == 0
    np.testing.assert_array_equal(mixed_labels[: len(labels)], labels)
    rows = np.repeat(range(len(mixed_labels)), mixing.getnnz(axis=1))
    np.testing.assert_array_equal(mixed_labels[rows], labels[mixing.indices])


@pytest.mark.parametrize("method", ["smote", "random"])
def test_every_class_becomes_as_large_as_the_largest(method):
    images, labels = synthetic()
    _, resampled = resample(images, labels, method=method)
    assert count(labels, resampled) == (SIZES, [60] * 7)


def test_adasyn_makes_the_classes_about_equally_large():
    # It rounds each image's share of the 60 - n new ones, so the error is at most n / 2.
    images, labels = synthetic()
    _, resampled = resample(images, labels)
    for size, n_after in zip(*count(labels, resampled), strict=True):
        assert abs(n_after - 60) <= size / 2


def test_without_a_method_the_training_images_stay_as_they_are():
    images, labels = synthetic()
    mixing, mixed_labels = resample(images, labels, method="none")
    np.testing.assert_array_equal(mix(mixing, images), images)
    np.testing.assert_array_equal(mixed_labels, labels)


@pytest.mark.parametrize("method", METHODS)
def test_the_mixing_depends_on_the_seed(method):
    first, again, other = (
        resample(*synthetic(), method=method, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert (first != again).nnz == 0
    assert first.shape != other.shape or (first != other).nnz > 0


@pytest.mark.parametrize("method", [*METHODS, "none"])
def test_only_the_training_images_among_all_are_used(method):
    images, labels = synthetic()
    train_rows = np.flatnonzero(np.arange(len(labels)) % 4 != 1)
    settings = {"method": method, "n_neighbors": 4, "seed": 3}
    mixing, mixed_labels = oversample(
        images, train_rows, labels[train_rows], **settings, codes=CODES
    )
    expected, expected_labels = resample(images[train_rows], labels[train_rows], **settings)
    assert (mixing != expected).nnz == 0
    np.testing.assert_array_equal(mixed_labels, expected_labels)


@pytest.mark.parametrize("method", METHODS)
def test_images_rows_and_labels_are_not_modified(method):
    images, labels = synthetic()
    rows = np.arange(len(images))
    before = images.copy(), rows.copy(), labels.copy()
    oversample(images, rows, labels, method=method, n_neighbors=5, seed=3, codes=CODES)
    for now, then in zip((images, rows, labels), before, strict=True):
        np.testing.assert_array_equal(now, then)


# Counts


def test_classes_are_counted_before_and_after_also_those_without_images():
    labels, resampled = np.array([5, 5, 0, 6]), np.array([5, 5, 0, 6, 0], np.uint8)
    table = count_rows(labels, resampled, codes=CODES)
    assert table["dx"].tolist() == [dx for dx in CODES for _ in range(2)]
    assert table["rows"].tolist() == ["train", "resampled"] * 7
    assert count(labels, resampled) == ([1, 0, 0, 0, 0, 2, 1], [2, 0, 0, 0, 0, 2, 1])


# Errors


def fail(images, labels, **settings):
    """Return the message of the error."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the message is returned)
        resample(images, labels, **settings)
    return str(error.value)


def test_a_class_whose_neighbours_share_its_class_is_named_and_smote_is_proposed():
    # vasc is far from all others, so that none of the five neighbours is of another class.
    images, labels = synthetic()
    images[labels == 6] = np.arange(8)[:, None, None, None]
    images[labels != 6] = images[labels != 6].clip(100)
    message = fail(images, labels)
    assert message == (
        "balance.method: adasyn needs images of another class among the 5 nearest neighbours of "
        "some image of every class; vasc has 8 training images, and all neighbours share its "
        "class; use method: smote (Not any neigbours belong to the majority class. This case will "
        "induce a NaN case with a division by zero. ADASYN is not suited for this specific "
        "dataset. Use SMOTE instead.)"
    )
    resample(images, labels, method="smote")


@pytest.mark.parametrize("method", ["adasyn", "smote"])
@pytest.mark.parametrize("n_images", [2, 5])
def test_a_class_with_too_few_images_is_named_and_three_changes_are_proposed(method, n_images):
    images, labels = synthetic()
    kept = (labels != 3) | (np.cumsum(labels == 3) <= n_images)
    images, labels = images[kept], labels[kept]
    message = fail(images, labels, method=method)
    assert message == (
        f"balance.method: {method} needs more than n_neighbors = 5 training images of every class, "
        f"and df has {n_images} training images; lower balance.n_neighbors, use method: random, or "
        "add more images"
    )
    resample(images, labels, method="random")
    if n_images > 2:
        resample(images, labels, method="smote", n_neighbors=n_images - 1)


def test_one_image_more_than_neighbours_is_enough():
    images, labels = synthetic()
    kept = (labels != 3) | (np.cumsum(labels == 3) <= 6)
    resample(images[kept], labels[kept], method="smote")
    resample(images[kept], labels[kept], method="adasyn")


def test_a_class_for_which_adasyn_rounds_to_no_new_image_stays_as_it_is():
    # bkl lacks one image; the share of each of its 59 is about 1/59, rounded to 0.
    images, labels = synthetic()
    extra = np.repeat(np.flatnonzero(labels == 2), 2)[:29]
    images = np.concatenate([images, images[extra] ^ 1])
    labels = np.concatenate([labels, labels[extra]])
    assert (labels == 2).sum() == 59
    mixing, resampled = resample(images, labels)
    before, after = count(labels, resampled)
    unchanged = [dx for dx, n, m in zip(CODES, before, after, strict=True) if n == m < 60]
    assert unchanged == ["bkl"]
    assert after[CODES.index("bkl")] == 59
    # The others are resampled as if bkl were not to be.
    targets = {label: 60 for label in range(7) if label != 2}
    sampler = ADASYN(sampling_strategy=targets, random_state=3, n_neighbors=5)
    pixels = images.reshape(len(images), -1).astype(np.float32)
    expected, expected_labels = sampler.fit_resample(pixels, labels)
    np.testing.assert_array_equal(resampled, expected_labels)
    mixed = mix(mixing, images).reshape(len(expected), -1)
    np.testing.assert_allclose(mixed, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("apart", [False, True])
def test_a_subset_with_nearly_n_images_a_class_stays_as_it_is(apart):
    # 20 to 22 images of each class; the share of each of 20 is 1/20 of the two that are lacking.
    # `apart`: no image has a neighbour of another class either, which ADASYN needs.
    rng = np.random.default_rng(0)
    labels = np.repeat(range(7), [20, 21, 22, 20, 21, 22, 20])
    spread = 0 if apart else 60
    images = 36 * labels[:, None, None, None] + rng.integers(0, spread + 2, (len(labels), 4, 4, 3))
    mixing, resampled = resample(images.clip(0, 255).astype(np.uint8), labels)
    assert mixing.shape == (146, 146)
    assert count(labels, resampled) == ([20, 21, 22, 20, 21, 22, 20],) * 2


def test_one_class_alone_cannot_be_balanced():
    message = fail(np.zeros((9, 2, 2, 3), np.uint8), np.full(9, 5), method="random")
    assert message.startswith("balance.method: random cannot resample the training images: ")
