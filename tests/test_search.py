import numpy as np
import pytest

from lesions.search import nearest_search


@pytest.fixture
def described():
    """Three thousand descriptors of norm 1, loosely about three hundred directions."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 64))[rng.integers(300, size=3000)] + rng.normal(size=(3000, 64))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_exact_search_compares_with_each(described):
    find = nearest_search(described, n_nearest=4, search="exact")
    distances = np.linalg.norm(described[:50, None] - described[None], axis=2)
    np.testing.assert_array_equal(find(described[:50]), distances.argsort(axis=1)[:, :4])


def test_approximate_search_finds_nearly_all_and_always_the_same(described):
    exact = nearest_search(described, n_nearest=6, search="exact")(described)
    found = nearest_search(described, n_nearest=6, search="approximate")(described)
    assert found.shape == exact.shape
    common = [len(np.intersect1d(one, other)) for one, other in zip(exact, found, strict=True)]
    assert 0.8 < np.mean(common) / 6 < 1  # it does miss some: else it would compare with each
    again = nearest_search(described, n_nearest=6, search="approximate")(described)
    np.testing.assert_array_equal(found, again)


def test_where_the_lists_hold_too_few_there_is_none(described):
    """Twenty lists, of which sixteen are looked through, do not hold all four hundred."""
    found = nearest_search(described[:400], n_nearest=400, search="approximate")(described[:5])
    n_none = (found == -1).sum(axis=1)
    assert (n_none > 0).all()
    assert all(len(set(row[row >= 0])) == 400 - n for row, n in zip(found, n_none, strict=True))
