import numpy as np
import pytest

from lesions.duplicates.search import build_search


@pytest.fixture
def descriptors():
    """Return three thousand descriptors of norm 1, scattered about three hundred directions."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 64))[rng.integers(300, size=3000)] + rng.normal(size=(3000, 64))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_an_exact_search_finds_the_nearest_of_all(descriptors):
    find_nearest = build_search(descriptors, n_neighbors=4, search="exact")
    distances = np.linalg.norm(descriptors[:50, None] - descriptors[None], axis=2)
    expected = distances.argsort(axis=1)[:, :4]
    np.testing.assert_array_equal(find_nearest(descriptors[:50]), expected)


def test_an_approximate_search_finds_most_and_is_deterministic(descriptors):
    exact = build_search(descriptors, n_neighbors=6, search="exact")(descriptors)
    first, second = (
        build_search(descriptors, n_neighbors=6, search="approximate")(descriptors)
        for _ in range(2)
    )
    assert first.shape == exact.shape
    common = [len(np.intersect1d(one, other)) for one, other in zip(exact, first, strict=True)]
    assert 0.8 < np.mean(common) / 6 < 1  # it misses some, or it would not be approximate
    np.testing.assert_array_equal(first, second)


def test_missing_neighbours_are_minus_one(descriptors):
    """Twenty lists, sixteen of which are searched, do not return all four hundred."""
    search = build_search(descriptors[:400], n_neighbors=400, search="approximate")
    nearest = search(descriptors[:5])
    n_missing = (nearest == -1).sum(axis=1)
    assert (n_missing > 0).all()
    for row, n in zip(nearest, n_missing, strict=True):
        assert len(set(row[row >= 0])) == 400 - n
