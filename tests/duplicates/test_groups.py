import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.duplicates.groups import SIDE, find_similar_pairs, group_images
from lesions.imaging.images import central_square

SIMILARITY = 0.991  # the default of params.yaml


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


def find_pairs(squares, n_neighbors):
    return find_similar_pairs(squares, n_neighbors=n_neighbors)


@pytest.fixture(scope="module")
def pairs_with_copies(photographs, squares, reduce_photograph):
    """Compare 21 photographs and changed copies of the first 14; return pairs, and which match."""

    def compare(change):
        copies = [reduce_photograph(CHANGES[change](image)) for image in photographs[:14]]
        pairs = find_pairs(np.concatenate([squares, copies]), 5)
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
    pairs = find_pairs(squares, 20)
    assert len(pairs) == 21 * 20 / 2  # all pairs
    assert pairs["similarity"].max() < SIMILARITY


def test_every_pair_occurs_once_and_the_most_similar_first(squares):
    pairs = find_pairs(squares, 4)
    assert (pairs["row"] < pairs["other_row"]).all()
    assert not pairs.duplicated(["row", "other_row"]).any()
    assert pairs["similarity"].is_monotonic_decreasing
    assert pairs["similarity"].between(-1, 1).all()


def test_the_number_of_threads_changes_nothing(squares, monkeypatch):
    found = []
    for n_workers in ("1", "4"):
        monkeypatch.setenv("LESIONS_WORKERS", n_workers)
        found.append(find_pairs(squares, 4))
    pd.testing.assert_frame_equal(*found)


def test_the_photographs_are_not_modified(squares):
    images = squares[:5].copy()
    find_pairs(images, 2)
    np.testing.assert_array_equal(images, squares[:5])


def test_a_single_photograph_has_no_pair_and_is_a_group(squares, labels):
    pairs = find_pairs(squares[:1], 10)
    assert pairs.empty
    assert list(pairs) == ["row", "other_row", "similarity"]
    groups = group_images(labels.iloc[:1], pairs, similarity=SIMILARITY)
    assert groups.to_dict("list") == {"image_id": ["a1"], "group": ["L2"]}


def test_photographs_of_one_colour_are_not_similar():
    pairs = find_pairs(np.full((5, SIDE, SIDE, 3), 99, np.uint8), 2)
    assert (pairs["similarity"] == 0).all()


# Groups


def test_groups_join_lesions_and_near_duplicates_and_are_named_by_their_smallest_lesion(
    labels, pairs
):
    groups = group_images(labels, pairs, similarity=0.985)
    assert list(groups) == ["image_id", "group"]
    assert groups["group"].tolist() == ["L1", "L1", "L1", "L4", "L4", "L3"]
    assert groups["image_id"].tolist() == labels["image_id"].tolist()


def test_groups_are_joined_along_chains(labels):
    # L4 and L3 through c1 and d1, L3 and L2 through d1 and a1, L2 and L1 through a2 and b1.
    rows = [(3, 5, 0.99), (0, 5, 0.99), (1, 2, 0.99)]
    pairs = pd.DataFrame(rows, columns=["row", "other_row", "similarity"])
    assert set(group_images(labels, pairs, similarity=0.99)["group"]) == {"L1"}


def test_without_near_duplicates_the_groups_are_the_lesions(labels, pairs):
    groups = group_images(labels, pairs, similarity=0.999)
    assert groups["group"].tolist() == labels["lesion_id"].tolist()


def test_lesions_of_one_patient_are_one_group(labels, pairs):
    # Patients P of L2 (a1, a2) and L3 (d1), Q of L1 and L4.
    patients = labels["lesion_id"].map({"L2": "P", "L3": "P", "L1": "Q", "L4": "Q"})
    groups = group_images(labels.assign(patient_id=patients), pairs, similarity=0.999)
    assert groups["group"].tolist() == patients.map({"P": "L2", "Q": "L1"}).tolist()
