import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from scipy import sparse

from lesions.balance import count_classes, count_resampled, mixing_matrix
from lesions.images import read_image
from lesions.metadata import read_metadata
from lesions.mixing import (
    mix,
)
from lesions.taxonomy import LABELS

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
    return mixing_matrix(images, rows, labels, method=method, n_neighbors=n_neighbors, seed=seed)


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
def test_the_mixing_matrix_holds_weighted_means_of_at_most_two_images_of_one_class(world, method):
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
    _, labels = resample(*synthetic(), method=method)
    assert list(count_classes(labels).values()) == [60] * 7


def test_adasyn_makes_the_classes_about_equally_large():
    # It rounds each image's share of the 60 - n new ones, so a class of n errs by n / 2 at most.
    _, labels = resample(*synthetic())
    for size, n_after in zip(SIZES, count_classes(labels).values(), strict=True):
        assert abs(n_after - 60) <= size / 2


def test_without_a_method_the_training_images_stay_as_they_are():
    images, labels = synthetic()
    mixing, mixed_labels = resample(images, labels, method="none")
    np.testing.assert_array_equal(mix(mixing, images), images)
    np.testing.assert_array_equal(mixed_labels, labels)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_draws_the_mixing(method):
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
    mixing, mixed_labels = mixing_matrix(images, train_rows, labels[train_rows], **settings)
    expected, expected_labels = resample(images[train_rows], labels[train_rows], **settings)
    assert (mixing != expected).nnz == 0
    np.testing.assert_array_equal(mixed_labels, expected_labels)


@pytest.mark.parametrize("method", METHODS)
def test_images_rows_and_labels_are_not_modified(method):
    images, labels = synthetic()
    rows = np.arange(len(images))
    before = images.copy(), rows.copy(), labels.copy()
    mixing_matrix(images, rows, labels, method=method, n_neighbors=5, seed=3)
    for now, then in zip((images, rows, labels), before, strict=True):
        np.testing.assert_array_equal(now, then)


# Counts


def test_classes_are_counted_by_name_also_those_without_images():
    assert count_classes(np.array([5, 5, 0, 6], np.uint8)) == {
        "akiec": 1,
        "bcc": 0,
        "bkl": 0,
        "df": 0,
        "mel": 0,
        "nv": 2,
        "vasc": 1,
    }


# What the methods refuse


def without_change(images, labels, **settings):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (its message is what is returned)
        resample(images, labels, **settings)
    return str(refused.value)


def test_a_class_all_amid_its_own_kind_is_named_and_smote_is_the_way_out():
    # vasc is far from all others, so that none of the five neighbours is of another class.
    images, labels = synthetic()
    images[labels == 6] = np.arange(8)[:, None, None, None]
    images[labels != 6] = images[labels != 6].clip(100)
    message = without_change(images, labels)
    assert message == (
        "balance.method: adasyn needs images of another class among the 5 nearest neighbors of "
        "some image of every class; vasc has 8 training images, and all neighbors share its class; "
        "use method: smote (Not any neigbours belong to the majority class. This case will induce "
        "a NaN case with a division by zero. ADASYN is not suited for this specific dataset. Use "
        "SMOTE instead.)"
    )
    resample(images, labels, method="smote")


@pytest.mark.parametrize("method", ["adasyn", "smote"])
@pytest.mark.parametrize("n_images", [2, 5])
def test_a_class_with_too_few_images_is_named_and_so_are_three_ways_out(method, n_images):
    images, labels = synthetic()
    kept = (labels != 3) | (np.cumsum(labels == 3) <= n_images)
    images, labels = images[kept], labels[kept]
    message = without_change(images, labels, method=method)
    assert message == (
        f"balance.method: {method} needs more than n_neighbors = 5 training images of every class; "
        f"df has {n_images} training images; lower balance.n_neighbors, use method: random, or "
        f"bring more images"
    )
    resample(images, labels, method="random")
    if n_images > 2:
        resample(images, labels, method="smote", n_neighbors=n_images - 1)


def test_one_image_more_than_neighbours_is_enough():
    images, labels = synthetic()
    kept = (labels != 3) | (np.cumsum(labels == 3) <= 6)
    resample(images[kept], labels[kept], method="smote")
    resample(images[kept], labels[kept], method="adasyn")


def test_a_class_for_which_adasyn_rounds_to_no_new_image_stays_and_is_counted():
    # bkl lacks one image of the largest class; each of its 59 gets some 1/59 of that, rounded to 0.
    images, labels = synthetic()
    extra = np.repeat(np.flatnonzero(labels == 2), 2)[:29]
    images = np.concatenate([images, images[extra] ^ 1])
    labels = np.concatenate([labels, labels[extra]])
    assert (labels == 2).sum() == 59
    mixing, resampled = resample(images, labels)
    counts = count_resampled(labels, resampled)
    assert counts["after"]["bkl"] == 59
    assert counts["not_resampled"] == {"bkl": 1}
    # The others are resampled as if bkl had not been asked for.
    targets = {label: 60 for label in range(7) if label != 2}
    sampler = ADASYN(sampling_strategy=targets, random_state=3, n_neighbors=5)
    pixels = images.reshape(len(images), -1).astype(np.float32)
    expected, expected_labels = sampler.fit_resample(pixels, labels)
    np.testing.assert_array_equal(resampled, expected_labels)
    mixed = mix(mixing, images).reshape(len(expected), -1)
    np.testing.assert_allclose(mixed, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("apart", [False, True])
def test_a_subset_with_nearly_n_images_a_class_stays_as_it_is(apart):
    # 20 to 22 images of each class; each of 20 gets 1/20 of the two that are lacking. `apart`: no
    # image has a neighbour of another class, so that ADASYN has nothing to go by either.
    rng = np.random.default_rng(0)
    labels = np.repeat(range(7), [20, 21, 22, 20, 21, 22, 20])
    spread = 0 if apart else 60
    images = 36 * labels[:, None, None, None] + rng.integers(0, spread + 2, (len(labels), 4, 4, 3))
    mixing, resampled = resample(images.clip(0, 255).astype(np.uint8), labels)
    assert mixing.shape == (146, 146)
    counts = count_resampled(labels, resampled)
    assert counts["after"] == counts["before"]
    assert counts["not_resampled"] == {"akiec": 2, "bcc": 1, "df": 2, "mel": 1, "vasc": 2}


def test_what_is_not_resampled_is_counted_without_a_method_too():
    labels = np.array([0, 1, 1, 5, 5, 5])
    assert count_resampled(labels, labels)["not_resampled"] == {"akiec": 2, "bcc": 1}


def test_one_class_alone_cannot_be_balanced():
    message = without_change(np.zeros((9, 2, 2, 3), np.uint8), np.full(9, 5), method="random")
    assert message.startswith("balance.method: random cannot resample the training images: ")
