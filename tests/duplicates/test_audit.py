import numpy as np
import pandas as pd
import pytest

from lesions.duplicates import audit
from lesions.duplicates.audit import audit_set, count_near_duplicates, list_pairs
from lesions.duplicates.groups import group_images

SETTINGS = {"similarity": 0.991, "min_matches": 10, "n_neighbors": 5, "search": "exact"}
ENDS, MEASURES = ["image_id", "other_image_id"], ["similarity", "matches"]
COLUMNS = [*ENDS, *MEASURES, "near_duplicate", "dx", "other_dx"]


def make_labels(prefix, n_images):
    """Return `n_images` photographs of as many lesions."""
    ids = [f"{prefix}{number:02d}" for number in range(n_images)]
    return pd.DataFrame({"image_id": ids, "lesion_id": ids, "dx": "nv"})


# The study


def test_the_counts_are_exact(labels, pairs):
    groups = group_images(labels, pairs)
    # Two lesions have two photographs: two pairs, of which a1-a2 is found, c1-c2 is not.
    # L1 and L2 are joined: three images are in a group of several lesions.
    assert count_near_duplicates(labels, pairs, groups) == {
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


def test_pairs_of_different_lesions_are_listed_whether_or_not_they_are_near_duplicates(
    labels, pairs
):
    listed = list_pairs(labels, pairs)
    assert list(listed) == COLUMNS
    assert listed.to_dict("list") == {
        "image_id": ["a2", "c1"],
        "other_image_id": ["b1", "d1"],
        "similarity": [0.985, 0.9849],
        "matches": [10, 9],
        "near_duplicate": [True, False],
        "dx": ["nv", "bkl"],
        "other_dx": ["mel", "df"],
    }
    assert len(list_pairs(labels, pairs, n_pairs=1)) == 1


def test_a_single_photograph_has_no_pairs_and_no_sensitivity(labels, squares):
    groups, pairs, counts = audit_set(labels.iloc[:1], {"squares": squares[:1]}, **SETTINGS)
    assert groups.to_dict("list") == {"image_id": ["a1"], "group": ["L2"]}
    assert pairs.empty
    assert list(pairs) == COLUMNS
    assert (counts["n_pairs_within_lesions"], counts["sensitivity"]) == (0, None)


def test_a_copy_under_another_lesion_id_is_found_and_grouped(squares):
    # 20 photographs, and the first of them again, rotated by a quarter.
    images = np.concatenate([squares[:20], np.rot90(squares[:1], axes=(1, 2))])
    labels = make_labels("S", 21)
    groups, pairs, counts = audit_set(labels, {"squares": images}, **SETTINGS)
    assert groups["group"].tolist() == [*labels["lesion_id"][:20], "S00"]
    assert pairs.loc[0, ["image_id", "other_image_id"]].tolist() == ["S00", "S20"]
    assert pairs["near_duplicate"].tolist() == [True] + [False] * (len(pairs) - 1)
    assert (counts["n_groups"], counts["n_images_regrouped"]) == (20, 2)


def test_at_most_100_pairs_are_listed(squares):
    # 21 * 20 / 2 = 210 pairs are compared.
    _, pairs, _ = audit_set(
        make_labels("S", 21), {"squares": squares}, **SETTINGS | {"n_neighbors": 20}
    )
    assert len(pairs) == 100
    assert pairs["similarity"].is_monotonic_decreasing


# An external set


@pytest.fixture(scope="module")
def external(squares):
    """Return the labels of a study and of an external set, and the photographs of both.

    The study has 10 photographs. The set has 6 of its own, the first of which occurs twice, flipped
    and under another lesion id, and three copies of the study's: E07 and E08 of S03, E09 of S05.
    """
    flipped, rotated = squares[:, ::-1], np.rot90(squares, axes=(1, 2))
    own = [*squares[10:16], flipped[10]]
    images = np.stack([*squares[:10], *own, flipped[3], rotated[3], rotated[5]])
    labels = make_labels("E", 10).assign(dx=["mel", "nv"] * 5)
    return make_labels("S", 10), labels, {"squares": images}


def test_near_duplicates_of_the_study_are_counted_and_listed_with_the_studys_id_first(external):
    study, labels, photographs = external
    _, pairs, counts = audit_set(labels, photographs, study, **SETTINGS)
    assert counts["n_near_duplicates_of_study"] == 3
    assert counts["n_classes"] == 2
    assert list(pairs) == COLUMNS
    near = pairs[pairs["near_duplicate"]]
    found = set(zip(near["image_id"], near["other_image_id"], strict=True))
    assert found == {("S03", "E07"), ("S03", "E08"), ("S05", "E09")}
    assert near.index.tolist() == [0, 1, 2]
    assert set(pairs["image_id"]) <= set(study["image_id"])
    assert set(pairs["other_image_id"]) <= set(labels["image_id"])
    assert set(pairs["dx"]) == {"nv"}
    dx = pairs["other_image_id"].map(labels.set_index("image_id")["dx"])
    assert pairs["other_dx"].tolist() == dx.tolist()


def test_groups_and_counts_of_an_external_set_do_not_depend_on_the_study(external):
    study, labels, photographs = external
    groups, _, counts = audit_set(labels, photographs, study, **SETTINGS)
    own = {"E06": "E00", "E08": "E07"}
    assert groups["group"].tolist() == [own.get(lesion, lesion) for lesion in labels["lesion_id"]]
    alone, _, counts_alone = audit_set(labels, {"squares": photographs["squares"][10:]}, **SETTINGS)
    pd.testing.assert_frame_equal(groups, alone)
    assert counts == counts_alone | {"n_classes": 2, "n_near_duplicates_of_study": 3}
    assert (counts["n_images"], counts["n_groups"], counts["n_images_regrouped"]) == (10, 8, 4)


def test_a_photograph_is_counted_once_and_only_for_its_similarity_to_the_study(monkeypatch):
    study, labels = make_labels("S", 2), make_labels("E", 4)
    labels = labels.assign(lesion_id=list("LLMN"), dx=["nv", "nv", "mel", "nv"])
    # Rows 0 and 1 are the study's, 2 to 5 are E00 to E03. E00 is similar to both of the study's,
    # E01 to one at the threshold, E02 to none, E03 to E00 only; the study's are similar too.
    rows = [(0, 2, 0.99), (1, 2, 0.98), (0, 1, 0.97), (1, 3, 0.95), (1, 4, 0.94), (2, 5, 0.99)]
    pairs = pd.DataFrame(rows, columns=["row", "other_row", "similarity"])
    pairs["near_duplicate"], pairs["matches"] = pairs["similarity"] >= 0.95, 0
    own = pairs[pairs["row"] >= 2].copy()
    own[["row", "other_row"]] -= 2
    found = {6: pairs, 4: own}
    monkeypatch.setattr(audit, "find_pairs", lambda squares, **_: found[len(squares)])
    photographs = {"squares": np.zeros((6, 32, 32, 3))}
    groups, listed, counts = audit_set(labels, photographs, study, **SETTINGS)
    names = ("n_images", "n_lesions", "n_classes", "n_near_duplicates_of_study")
    assert [counts[name] for name in names] == [4, 3, 2, 2]
    assert groups["group"].tolist() == ["L", "L", "M", "L"]
    assert listed["other_image_id"].tolist() == ["E00", "E00", "E01", "E02"]
    assert listed["near_duplicate"].tolist() == [True, True, True, False]


def test_lesions_of_one_patient_are_not_counted_as_regrouped():
    labels = pd.DataFrame({"image_id": ["a", "b", "c"], "lesion_id": ["L1", "L2", "L3"]})
    labels["patient_id"] = ["P", "P", "Q"]
    pairs = pd.DataFrame({"row": [0], "other_row": [1], "near_duplicate": [False]})
    groups = group_images(labels, pairs)
    counts = count_near_duplicates(labels, pairs, groups)
    assert (counts["n_groups"], counts["n_images_regrouped"]) == (2, 0)
