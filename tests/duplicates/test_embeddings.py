import numpy as np
import pytest

from lesions.duplicates.embeddings import N_COMPONENTS, find_neighbors, whiten


@pytest.fixture
def embeddings():
    """Return 500 embeddings of 40 features, five of which vary most and tell nothing.

    The last 100 are those before them with other values of these five.
    """
    rng = np.random.default_rng(1)
    values = rng.random((400, 40))
    values = np.concatenate([values, values[300:]])
    values[:, :5] = 30 * rng.random((500, 5))
    return values.astype(np.float16)


@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_features_that_vary_most_do_not_decide(embeddings, search):
    pairs = find_neighbors(embeddings, n_neighbors=1, search=search)
    found = set(zip(pairs["row"], pairs["other_row"], strict=True))
    copies = {(row, row + 100) for row in range(300, 400)}
    assert len(found & copies) > 90
    unwhitened = embeddings / np.linalg.norm(embeddings.astype(float), axis=1, keepdims=True)
    nearest = (unwhitened @ unwhitened.T - 2 * np.eye(500)).argmax(axis=1)
    assert sum(nearest[row] == row + 100 for row in range(300, 400)) < 20


def test_every_pair_occurs_once_with_the_smaller_row_first(embeddings):
    pairs = find_neighbors(embeddings, n_neighbors=5, search="exact")
    assert list(pairs) == ["row", "other_row"]
    assert (pairs["row"] < pairs["other_row"]).all()
    assert not pairs.duplicated().any()
    counts = np.bincount(pairs.to_numpy().ravel(), minlength=500)
    assert counts.min() >= 5


@pytest.mark.parametrize(("n_images", "n_components"), [(2, 1), (30, 3), (299, 29), (5000, 40)])
def test_few_photographs_are_compared_by_few_components(n_images, n_components):
    rng = np.random.default_rng(1)
    whitened = whiten(rng.random((n_images, 40)))
    assert whitened.shape == (n_images, n_components)
    assert N_COMPONENTS > 40
    if n_images > 10:
        np.testing.assert_allclose(np.linalg.norm(whitened, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("n_images", [1, 2, 3])
def test_there_are_at_most_as_many_neighbours_as_other_photographs(n_images):
    vectors = np.random.default_rng(1).random((n_images, 8)).astype(np.float16)
    pairs = find_neighbors(vectors, n_neighbors=10, search="exact")
    assert len(pairs) == n_images * (n_images - 1) / 2
