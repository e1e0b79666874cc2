import pandas as pd

from lesions.duplicates.groups import group_images


def near(rows):
    """Return pairs of rows, all near-duplicates."""
    return pd.DataFrame(rows, columns=["row", "other_row"]).assign(near_duplicate=True)


def test_groups_join_lesions_and_near_duplicates_and_are_named_by_their_smallest_lesion(
    labels, pairs
):
    groups = group_images(labels, pairs)
    assert list(groups) == ["image_id", "group"]
    assert groups["group"].tolist() == ["L1", "L1", "L1", "L4", "L4", "L3"]
    assert groups["image_id"].tolist() == labels["image_id"].tolist()


def test_groups_are_joined_along_chains(labels):
    # L4 and L3 through c1 and d1, L3 and L2 through d1 and a1, L2 and L1 through a2 and b1.
    pairs = near([(3, 5), (0, 5), (1, 2)])
    assert set(group_images(labels, pairs)["group"]) == {"L1"}


def test_without_near_duplicates_the_groups_are_the_lesions(labels, pairs):
    groups = group_images(labels, pairs.assign(near_duplicate=False))
    assert groups["group"].tolist() == labels["lesion_id"].tolist()


def test_a_photograph_without_pairs_is_a_group(labels):
    groups = group_images(labels.iloc[:1], near([]))
    assert groups.to_dict("list") == {"image_id": ["a1"], "group": ["L2"]}


def test_lesions_of_one_patient_are_one_group(labels, pairs):
    # Patients P of L2 (a1, a2) and L3 (d1), Q of L1 and L4.
    patients = labels["lesion_id"].map({"L2": "P", "L3": "P", "L1": "Q", "L4": "Q"})
    none = pairs.assign(near_duplicate=False)
    groups = group_images(labels.assign(patient_id=patients), none)
    assert groups["group"].tolist() == patients.map({"P": "L2", "Q": "L1"}).tolist()
