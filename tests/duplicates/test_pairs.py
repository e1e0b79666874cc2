import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.duplicates import pairs as pairs_module
from lesions.duplicates.keypoints import find_keypoints
from lesions.duplicates.pairs import SIDE, compare_keypoints, compare_pixels, find_pairs
from lesions.imaging.images import central_square

SIMILARITY, MIN_MATCHES = 0.991, 10  # of params.yaml


def rotate(photograph, degrees, zoom=1.0):
    """Rotate about the centre and enlarge."""
    height, width = photograph.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    return cv2.warpAffine(photograph, matrix, (width, height))


def recompress(photograph, quality=50):
    _, jpeg = cv2.imencode(".jpg", photograph, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)


CHANGES = {
    "a quarter turn": lambda photograph: np.rot90(central_square(photograph)),
    "a rotation by 37 degrees": lambda photograph: rotate(photograph, 37),
    "a flip": lambda photograph: photograph[:, ::-1],
    "a zoom of 1.1": lambda photograph: rotate(photograph, 0, 1.1),
    "a zoom of 1.25": lambda photograph: rotate(photograph, 0, 1.25),
    "recompression": recompress,
    "all of them": lambda photograph: recompress(rotate(photograph, 100, 1.2)[::-1]),
}


@pytest.fixture(scope="module")
def pairs_with_copies(photographs, squares, reduce_photograph):
    """Compare 21 photographs and changed copies of the first 14; return pairs, and which match."""

    def compare(change):
        copies = [reduce_photograph(CHANGES[change](image)) for image in photographs[:14]]
        pairs = compare_pixels(np.concatenate([squares, copies]), n_neighbors=5)
        return pairs, pairs["other_row"] - pairs["row"] == len(squares)

    return compare


# Pairs


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_more_similar_than_any_other_lesion_after(change, pairs_with_copies):
    pairs, same = pairs_with_copies(change)
    different = (pairs["other_row"] - pairs["row"]) % 21 != 0
    assert same.sum() == 14
    assert pairs.loc[same, "similarity"].min() > 0.97 > pairs.loc[different, "similarity"].max()


@pytest.mark.parametrize("change", ["a quarter turn", "a flip", "recompression"])
def test_the_default_threshold_finds_every_copy_after(change, pairs_with_copies):
    # A zoom resamples the photograph, and the finest textures are then just below the threshold.
    pairs, same = pairs_with_copies(change)
    assert (pairs.loc[same, "similarity"] >= SIMILARITY).sum() == 14


def test_different_lesions_are_not_near_duplicates(squares):
    pairs = compare_pixels(squares, n_neighbors=20)
    assert len(pairs) == 21 * 20 / 2  # all pairs
    assert pairs["similarity"].max() < SIMILARITY


def test_every_pair_occurs_once(squares):
    pairs = compare_pixels(squares, n_neighbors=4)
    assert (pairs["row"] < pairs["other_row"]).all()
    assert not pairs.duplicated(["row", "other_row"]).any()
    assert pairs["similarity"].between(-1, 1).all()


def test_the_number_of_threads_changes_nothing(squares, monkeypatch):
    found = []
    for n_workers in ("1", "4"):
        monkeypatch.setenv("LESIONS_WORKERS", n_workers)
        found.append(compare_pixels(squares, n_neighbors=4))
    pd.testing.assert_frame_equal(*found)


def test_the_photographs_are_not_modified(squares):
    images = squares[:5].copy()
    compare_pixels(images, n_neighbors=2)
    np.testing.assert_array_equal(images, squares[:5])


def test_a_single_photograph_has_no_pair(squares):
    pairs = compare_pixels(squares[:1], n_neighbors=10)
    assert pairs.empty
    assert list(pairs) == ["row", "other_row", "similarity"]


def test_photographs_of_one_colour_are_not_similar():
    pairs = compare_pixels(np.full((5, SIDE, SIDE, 3), 99, np.uint8), n_neighbors=2)
    assert (pairs["similarity"] == 0).all()


# Keypoints, and both


@pytest.fixture(scope="module")
def keypoints(photographs):
    """Return the keypoints of 14 photographs, then of their rotated copies."""
    copies = [recompress(rotate(photograph, 25, 1.2)) for photograph in photographs[:14]]
    return [find_keypoints(photograph) for photograph in [*photographs[:14], *copies]]


@pytest.fixture(scope="module")
def embeddings():
    """Return 14 random vectors, then the same with a little noise."""
    rng = np.random.default_rng(1)
    vectors = rng.random((14, 40))
    return np.concatenate([vectors, vectors + rng.normal(0, 0.01, vectors.shape)])


def test_keypoints_of_copies_match_among_the_candidates_of_the_embeddings(embeddings, keypoints):
    pairs = compare_keypoints(embeddings, keypoints, n_neighbors=5)
    assert list(pairs) == ["row", "other_row", "matches"]
    assert (pairs["row"] < pairs["other_row"]).all()
    assert not pairs.duplicated(["row", "other_row"]).any()
    same = pairs["other_row"] - pairs["row"] == 14
    assert same.sum() == 14
    assert pairs.loc[same, "matches"].min() >= MIN_MATCHES > pairs.loc[~same, "matches"].max()


def test_both_methods_are_joined_and_either_makes_a_near_duplicate(monkeypatch):
    similar = pd.DataFrame(
        {"row": [0, 0, 1], "other_row": [1, 2, 3], "similarity": [0.9, 0.8, 0.7]}
    )
    matching = pd.DataFrame({"row": [0, 0, 2], "other_row": [1, 3, 3], "matches": [3, 20, 9]})
    monkeypatch.setattr(pairs_module, "compare_pixels", lambda *_, **__: similar)
    monkeypatch.setattr(pairs_module, "compare_keypoints", lambda *_, **__: matching)
    settings = {"similarity": 0.9, "min_matches": 10, "n_neighbors": 5, "search": "exact"}
    pairs = find_pairs(squares=0, embeddings=0, keypoints=0, **settings)
    ends = list(zip(pairs["row"], pairs["other_row"], strict=True))
    assert ends == [(0, 3), (0, 1), (2, 3), (0, 2), (1, 3)]
    assert pairs["near_duplicate"].tolist() == [True, True, False, False, False]
    assert pairs["matches"].astype(object).where(pairs["matches"].notna(), None).tolist() == [
        *(20, 3, 9, None, None)
    ]
    alone = find_pairs(embeddings=0, keypoints=0, **settings)
    assert alone["similarity"].isna().all()
    assert alone["near_duplicate"].tolist() == [True, False, False]
    assert find_pairs(squares=0, **settings)["near_duplicate"].tolist() == [True, False, False]


def test_without_photographs_nothing_is_near():
    settings = {"similarity": 0.9, "min_matches": 10, "n_neighbors": 5, "search": "exact"}
    pairs = find_pairs(embeddings=np.ones((1, 8), np.float16), keypoints=[None], **settings)
    assert pairs.empty
    assert pairs["near_duplicate"].dtype == bool
