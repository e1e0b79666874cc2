import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.demo import draw_photograph
from lesions.duplicates import (
    SIZE,
    describe_audit,
    find_similar_pairs,
    group_images,
    pairs_across_lesions,
)
from lesions.images import central_square

SIMILARITY = 0.991  # the default of params.yaml
KINDS = ["nv", "mel", "bkl", "bcc", "akiec", "vasc", "df"]


def turned(photograph, degrees, zoom=1.0):
    """Turn about the middle and enlarge."""
    height, width = photograph.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    return cv2.warpAffine(photograph, matrix, (width, height))


def again_as_jpeg(photograph, quality=50):
    _, jpeg = cv2.imencode(".jpg", photograph, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)


CHANGES = {
    "a quarter turn": lambda photograph: np.rot90(central_square(photograph)),
    "a turn by 37 degrees": lambda photograph: turned(photograph, 37),
    "a flip": lambda photograph: photograph[:, ::-1],
    "a zoom of 1.1": lambda photograph: turned(photograph, 0, 1.1),
    "a zoom of 1.25": lambda photograph: turned(photograph, 0, 1.25),
    "JPEG again": again_as_jpeg,
    "all at once": lambda photograph: again_as_jpeg(turned(photograph, 100, 1.2)[::-1]),
}


def reduced(photograph):
    """Take the middle 300 × 300: whatever the turn, what comes into view was photographed."""
    square = np.ascontiguousarray(central_square(photograph)[75:-75, 75:-75])
    return cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def photographs():
    return [
        draw_photograph(KINDS[seed % 7], lesion_seed=seed, photo_seed=100 + seed)
        for seed in range(21)
    ]


def table(rows, columns=("row", "other_row", "similarity")):
    return pd.DataFrame(rows, columns=list(columns))


LABELS = pd.DataFrame(
    {
        "image_id": ["a1", "a2", "b1", "c1", "c2", "d1"],
        "lesion_id": ["L2", "L2", "L1", "L4", "L4", "L3"],
        "dx": ["nv", "nv", "mel", "bkl", "bkl", "df"],
    },
    index=[10, 11, 12, 13, 14, 15],
)
# a1 and a2 are of one lesion, a2 and b1 are near-duplicates, c1 and d1 just are not.
PAIRS = table([(0, 1, 0.995), (1, 2, 0.985), (3, 5, 0.9849), (3, 4, 0.5)])


# Finding


def pairs_with_copies(photographs, change):
    """Compare 21 photographs and changed copies of the first 14; give pairs, and which are true."""
    images = [reduced(photograph) for photograph in photographs]
    copies = [reduced(CHANGES[change](photograph)) for photograph in photographs[:14]]
    pairs = find_similar_pairs(np.stack(images + copies), n_neighbors=5)
    return pairs, pairs["other_row"] - pairs["row"] == len(images)


@pytest.mark.parametrize("change", CHANGES)
def test_a_photograph_is_more_like_itself_than_two_lesions_are_alike_after(change, photographs):
    pairs, same = pairs_with_copies(photographs, change)
    unlike = (pairs["other_row"] - pairs["row"]) % 21 != 0
    assert same.sum() == 14
    assert pairs.loc[same, "similarity"].min() > 0.97 > pairs.loc[unlike, "similarity"].max()


@pytest.mark.parametrize("change", ["a quarter turn", "a flip", "JPEG again"])
def test_at_the_default_threshold_every_photograph_is_found_again_after(change, photographs):
    # A zoom resamples the photograph, and the finest textures then stay just below it.
    pairs, same = pairs_with_copies(photographs, change)
    assert (pairs.loc[same, "similarity"] >= SIMILARITY).sum() == 14


def test_different_lesions_are_not_near_duplicates(photographs):
    images = np.stack([reduced(photograph) for photograph in photographs])
    pairs = find_similar_pairs(images, n_neighbors=20)
    assert len(pairs) == 21 * 20 / 2  # each with each
    assert pairs["similarity"].max() < SIMILARITY


def test_every_pair_comes_once_and_the_most_similar_first(photographs):
    images = np.stack([reduced(photograph) for photograph in photographs])
    pairs = find_similar_pairs(images, n_neighbors=4)
    assert (pairs["row"] < pairs["other_row"]).all()
    assert not pairs.duplicated(["row", "other_row"]).any()
    assert pairs["similarity"].is_monotonic_decreasing
    assert pairs["similarity"].between(-1, 1).all()


def test_the_number_of_threads_changes_nothing(photographs):
    images = np.stack([reduced(photograph) for photograph in photographs])
    one, four = (find_similar_pairs(images, n_neighbors=4, n_workers=n) for n in (1, 4))
    pd.testing.assert_frame_equal(one, four)


def test_the_photographs_are_not_modified(photographs):
    images = np.stack([reduced(photograph) for photograph in photographs[:5]])
    before = images.copy()
    find_similar_pairs(images, n_neighbors=2)
    np.testing.assert_array_equal(images, before)


def test_one_photograph_alone_has_no_pair_and_is_a_group(photographs):
    pairs = find_similar_pairs(reduced(photographs[0])[None], n_neighbors=10)
    assert list(pairs) == ["row", "other_row", "similarity"]
    labels = LABELS.iloc[:1]
    groups = group_images(labels, pairs, similarity=SIMILARITY)
    assert groups.to_dict("list") == {"image_id": ["a1"], "group": ["L2"]}
    counts = describe_audit(labels, pairs, groups, similarity=SIMILARITY)
    assert (counts["n_pairs_within_lesions"], counts["sensitivity"]) == (0, None)
    assert pairs_across_lesions(labels, pairs, similarity=SIMILARITY).empty


def test_photographs_of_one_colour_are_no_duplicates():
    pairs = find_similar_pairs(np.full((5, SIZE, SIZE, 3), 99, np.uint8), n_neighbors=2)
    assert (pairs["similarity"] == 0).all()


def test_no_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"^audit\.n_neighbors must be at least 1; found 0; "):
        find_similar_pairs(np.zeros((3, SIZE, SIZE, 3), np.uint8), n_neighbors=0)


# Grouping


def test_groups_join_lesions_and_near_duplicates_and_are_named_by_their_smallest_lesion():
    groups = group_images(LABELS, PAIRS, similarity=0.985)
    assert list(groups) == ["image_id", "group"]
    assert groups["group"].tolist() == ["L1", "L1", "L1", "L4", "L4", "L3"]
    assert groups["image_id"].tolist() == LABELS["image_id"].tolist()


def test_groups_are_joined_along_chains():
    # L4 and L3 through c1 and d1, L3 and L2 through d1 and a1, L2 and L1 through a2 and b1.
    pairs = table([(3, 5, 0.99), (0, 5, 0.99), (1, 2, 0.99)])
    assert set(group_images(LABELS, pairs, similarity=0.99)["group"]) == {"L1"}


def test_without_near_duplicates_the_groups_are_the_lesions():
    groups = group_images(LABELS, PAIRS, similarity=0.999)
    assert groups["group"].tolist() == LABELS["lesion_id"].tolist()


# Counts


def test_what_was_found_is_counted():
    groups = group_images(LABELS, PAIRS, similarity=0.985)
    # Two lesions have two photographs: two pairs, of which a1-a2 is found, c1-c2 is not.
    # L1 and L2 are joined: three images lie in a group of several lesions.
    assert describe_audit(LABELS, PAIRS, groups, similarity=0.985) == {
        "n_images": 6,
        "n_lesions": 4,
        "n_groups": 3,
        "n_largest_group": 3,
        "n_lesions_with_several_photographs": 2,
        "n_pairs_within_lesions": 2,
        "n_pairs_within_lesions_found": 1,
        "sensitivity": 0.5,
        "n_pairs_across_lesions_found": 1,
        "n_images_regrouped": 3,
    }


def test_pairs_of_different_lesions_are_listed_whether_or_not_they_are_near_duplicates():
    listed = pairs_across_lesions(LABELS, PAIRS, similarity=0.985)
    assert listed.to_dict("list") == {
        "image_id": ["a2", "c1"],
        "other_image_id": ["b1", "d1"],
        "similarity": [0.985, 0.9849],
        "near_duplicate": [True, False],
        "dx": ["nv", "bkl"],
        "other_dx": ["mel", "df"],
    }
    assert len(pairs_across_lesions(LABELS, PAIRS, similarity=0.985, n_pairs=1)) == 1
