import math

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, train_test_split

from lesions.duplicates import group_images
from lesions.metadata import read_metadata
from lesions.split import describe_split, leaking, partition_images
from lesions.taxonomy import CODES

SETTINGS = {
    "by": "lesion",
    "column": None,
    "test_size": 0.2,
    "val_size": 0.1,
    "cal_size": 0.1,
    "folds": 0,
    "fold": 0,
    "seed": 1,
}


def cohort(n_lesions, *, codes=CODES):
    """Lesions of each class; the k-th of a class has 1, 2 or 3 photographs; shuffled."""
    rows = [
        (f"{dx}{lesion}", dx)
        for dx in codes
        for lesion in range(n_lesions)
        for _ in range(1 + lesion % 3)
    ]
    table = pd.DataFrame(rows, columns=["lesion_id", "dx"])
    table = table.sample(frac=1, random_state=0).reset_index(drop=True)
    return table.assign(image_id=[f"ISIC_{row}" for row in range(len(table))])


def split(labels, groups=None, **changes):
    return partition_images(labels, groups, **SETTINGS | changes)


def lesions_as_groups(labels):
    return pd.DataFrame({"image_id": labels["image_id"], "group": labels["lesion_id"]})


def pairs_of_lesions_as_groups(labels):
    """Join the lesions 0 and 1, 2 and 3, … of each class."""
    lesion = labels["lesion_id"].str.extract(r"([a-z]+)(\d+)")
    group = lesion[0] + (lesion[1].astype(int) // 2).astype(str)
    return pd.DataFrame({"image_id": labels["image_id"], "group": group})


def n_lesion_parts(labels, partition):
    """Count the pairs of a lesion and a part it lies in; as many as lesions if none is divided."""
    return len(set(zip(labels["lesion_id"], partition, strict=True)))


def sizes(partitions):
    return partitions["partition"].value_counts().to_dict()


@pytest.fixture(scope="module")
def ham10000(shared):
    return read_metadata(shared("ham10000_28/HAM10000_metadata.csv"))


# By image


def test_by_image_the_test_part_is_the_papers_2003_of_10015():
    # 0.2 * 10,015 = 2,003 exactly; nothing is left to round.
    labels = cohort(10).sample(10015, replace=True, random_state=0).reset_index(drop=True)
    partitions = split(labels, by="image", val_size=0.0, cal_size=0.0)
    assert sizes(partitions) == {"train": 8012, "test": 2003}


@pytest.mark.parametrize("seed", [1, 42])
def test_by_image_the_test_part_is_scikit_learns_own(seed):
    labels = cohort(20)
    partitions = split(labels, by="image", val_size=0.0, cal_size=0.0, seed=seed)
    _, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=seed)
    assert set(np.flatnonzero(partitions["partition"] == "test")) == set(test)


@pytest.mark.parametrize("n_images", [100, 101, 200, 380, 800])
@pytest.mark.parametrize("size", [0.05, 0.1, 0.15, 0.2])
def test_every_size_is_a_share_of_all_images_rounded_up(n_images, size):
    labels = cohort(20).sample(n_images, replace=True, random_state=0).reset_index(drop=True)
    held_out = dict.fromkeys(["test_size", "val_size", "cal_size"], size)
    expected = math.ceil(size * n_images)
    counts = sizes(split(labels, by="image", **held_out))
    assert [counts[name] for name in ("test", "val", "cal")] == [expected] * 3
    assert counts["train"] == n_images - 3 * expected


def test_the_test_part_does_not_depend_on_the_other_sizes():
    # Otherwise models with and without a validation part could not be compared.
    parts = [
        split(cohort(20), by=by, val_size=val, cal_size=cal)["partition"] == "test"
        for by in ("image", "lesion")
        for val, cal in [(0.0, 0.0), (0.1, 0.0), (0.2, 0.2)]
    ]
    np.testing.assert_array_equal(parts[0], parts[1])
    np.testing.assert_array_equal(parts[0], parts[2])
    np.testing.assert_array_equal(parts[3], parts[4])
    np.testing.assert_array_equal(parts[3], parts[5])


# By lesion


@pytest.mark.parametrize("seed", range(5))
def test_no_lesion_lies_in_two_partitions(seed):
    labels = cohort(30)
    partition = split(labels, seed=seed)["partition"]
    assert n_lesion_parts(labels, partition) == 7 * 30


def test_every_class_gives_its_share_of_lesions_to_every_part():
    # Of 30 lesions of each class, 20 % are 6 and 10 % are 3; 30 - 6 - 3 - 3 = 18 are left.
    labels = cohort(30)
    labels["partition"] = split(labels)["partition"]
    lesions = labels.drop_duplicates("lesion_id")
    counts = pd.crosstab(lesions["dx"], lesions["partition"])
    for name, expected in {"train": 18, "val": 3, "cal": 3, "test": 6}.items():
        assert counts[name].tolist() == [expected] * 7


def test_all_parts_of_real_lesions_have_the_classes_proportions(ham10000):
    partition = split(ham10000, seed=42)["partition"]
    assert n_lesion_parts(ham10000, partition) == 7470
    lesions = ham10000.assign(partition=partition).drop_duplicates("lesion_id")
    for name, share in {"val": 0.1, "cal": 0.1, "test": 0.2}.items():
        part = lesions.loc[lesions["partition"] == name, "dx"].value_counts()
        # Stratified: of every class the share, to the one lesion that rounding gives or takes.
        np.testing.assert_allclose(
            part[list(CODES)], share * lesions["dx"].value_counts()[list(CODES)], atol=1
        )
        assert part.sum() == math.ceil(share * 7470)


# Both


@pytest.mark.parametrize("by", ["image", "lesion"])
def test_the_seed_draws_the_partitions(by):
    labels = cohort(20)
    pd.testing.assert_frame_equal(split(labels, by=by), split(labels, by=by))
    assert not split(labels, by=by).equals(split(labels, by=by, seed=2))


@pytest.mark.parametrize("by", ["image", "lesion", "column"])
def test_row_i_belongs_to_row_i_whatever_the_tables_index(by):
    labels = cohort(20)
    labels["mine"] = np.resize(["train", "val", "test"], len(labels))
    expected = split(labels, by=by, column="mine")
    assert list(expected) == ["image_id", "partition"]
    assert expected["image_id"].tolist() == labels["image_id"].tolist()
    reindexed = split(labels.set_index(labels.index + 1000), by=by, column="mine")
    assert reindexed["partition"].tolist() == expected["partition"].tolist()


@pytest.mark.parametrize("by", ["image", "lesion", "column"])
def test_the_labels_are_not_modified(by):
    labels = cohort(20)
    labels["mine"] = np.where(np.arange(len(labels)) % 2, "test", "train")
    before = labels.copy()
    split(labels, by=by, column="mine")
    pd.testing.assert_frame_equal(labels, before)


def test_a_column_without_test_images_is_refused():
    with pytest.raises(ValueError, match="'test' must have images; column 'mine' puts none there"):
        split(cohort(20).assign(mine="train"), by="column", column="mine")


# By group


def test_with_lesions_as_groups_by_group_is_by_lesion():
    labels = cohort(20)
    by_group = split(labels, lesions_as_groups(labels), by="group")
    pd.testing.assert_frame_equal(by_group, split(labels))


@pytest.mark.parametrize("folds", [0, 4])
def test_no_group_lies_in_two_partitions(folds):
    labels = cohort(30)
    groups = pairs_of_lesions_as_groups(labels)
    partitions = split(labels, groups, by="group", folds=folds)
    assert not leaking(groups, partitions).any()
    # 15 groups of each class: 20 % are 3; with 4 folds, 3 or 4.
    tested = groups.loc[partitions["partition"] == "test", "group"].drop_duplicates()
    per_class = tested.str.extract(r"([a-z]+)")[0].value_counts()
    assert set(per_class) <= ({3} if folds == 0 else {3, 4})


def test_a_group_of_two_diagnoses_counts_as_its_first():
    labels = cohort(30)
    groups = pairs_of_lesions_as_groups(labels)
    groups.loc[labels["lesion_id"] == "mel0", "group"] = "nv0"
    partitions = split(labels, groups, by="group")
    assert not leaking(groups, partitions).any()


@pytest.mark.parametrize("fault", ["none", "fewer", "another order"])
def test_groups_of_other_images_are_refused(fault):
    labels = cohort(20)
    groups = lesions_as_groups(labels)
    found = {"none": None, "fewer": groups[:-1], "another order": groups[::-1]}[fault]
    with pytest.raises(ValueError, match=r"^split\.by: group needs the group of each of the 273 "):
        split(labels, found, by="group")


# Folds


@pytest.mark.parametrize("by", ["image", "lesion", "group"])
def test_every_image_is_tested_on_in_exactly_one_fold(by):
    labels = cohort(20)
    groups = pairs_of_lesions_as_groups(labels)
    parts = [
        split(labels, groups, by=by, folds=5, fold=fold)["partition"].to_numpy()
        for fold in range(5)
    ]
    np.testing.assert_array_equal(sum((part == "test").astype(int) for part in parts), 1)
    for part in parts:
        assert {"val", "cal", "train"} < set(part)


def test_folds_hold_whole_lesions_and_every_class_alike():
    # 20 lesions of each class in 5 folds: 4 in each; then val and cal take 10 % of all 20, 2 each.
    labels = cohort(20)
    for fold in range(5):
        labels["partition"] = split(labels, folds=5, fold=fold)["partition"]
        assert n_lesion_parts(labels, labels["partition"]) == 7 * 20
        lesions = labels.drop_duplicates("lesion_id")
        counts = pd.crosstab(lesions["dx"], lesions["partition"])
        for name, expected in {"train": 12, "val": 2, "cal": 2, "test": 4}.items():
            assert counts[name].tolist() == [expected] * 7


def test_by_image_the_folds_are_scikit_learns_own():
    labels = cohort(20)
    cut = list(KFold(5, shuffle=True, random_state=1).split(np.arange(len(labels))))
    for fold, (_, test) in enumerate(cut):
        partition = split(labels, by="image", folds=5, fold=fold)["partition"]
        assert set(np.flatnonzero(partition == "test")) == set(test)


def test_the_test_size_is_not_used_with_folds():
    labels = cohort(20)
    pd.testing.assert_frame_equal(
        split(labels, folds=4, test_size=0.2), split(labels, folds=4, test_size=0.7)
    )


def test_a_fold_beyond_the_last_is_refused():
    with pytest.raises(ValueError, match=r"^split\.fold must be from 0 to 3, .* found 4; "):
        split(cohort(20), folds=4, fold=4)


def test_more_folds_than_the_rarest_class_has_lesions_are_refused():
    labels = cohort(20)
    labels = labels[(labels["dx"] != "df") | labels["lesion_id"].isin(["df1", "df2"])]
    with pytest.raises(ValueError, match=r"^split\.folds must .* are 2 units of df, and 3 folds; "):
        split(labels, folds=3)


# By column


def test_by_column_the_metadata_says_it():
    labels = cohort(2)
    mine = np.resize(["train", "val", "cal", "test", "train"], len(labels))
    labels["mine"] = mine
    labels.loc[labels.groupby("dx").head(1).index, "mine"] = "train"
    expected = labels["mine"].tolist()
    assert split(labels, by="column", column="mine")["partition"].tolist() == expected


@pytest.mark.parametrize(
    ("column", "train", "val", "test"),
    [
        ("partition", 7007, 1003, 2005),  # DermaMNIST (Yang et al., Sci Data 10:41, 2023)
        ("partition_c", 8215, 573, 1227),  # DermaMNIST-C (Abhishek et al., Sci Data 12:196, 2025)
    ],
)
def test_published_splits_are_taken_over(ham10000, column, train, val, test):
    partitions = split(ham10000, by="column", column=column)
    assert sizes(partitions) == {"train": train, "val": val, "test": test}
    counts = describe_split(ham10000, partitions, lesions_as_groups(ham10000))
    assert [counts[f"n_{name}"] for name in ("train", "val", "cal", "test")] == [
        train,
        val,
        0,
        test,
    ]
    leaks = counts["n_test_sharing_a_lesion_with_train"]
    assert (leaks == 0) == (column == "partition_c")  # the one that was made to have none


def test_moving_what_leaks_to_train_gives_the_published_corrected_split(ham10000, shared):
    # Abhishek, Jain, Hamarneh, Sci Data 12:196, 2025: lesions and 18 confirmed near-duplicates.
    confirmed = pd.read_csv(shared("ham10000_28/near_duplicates.csv"))
    row = pd.Series(range(len(ham10000)), index=ham10000["image_id"])
    pairs = pd.DataFrame(
        {
            "row": row[confirmed["image_id"]].to_numpy(),
            "other_row": row[confirmed["other_image_id"]].to_numpy(),
            "similarity": 1.0,
        }
    )
    groups = group_images(ham10000, pairs, similarity=1.0)
    partitions = split(ham10000, groups, by="column", column="partition")
    partitions.loc[leaking(groups, partitions), "partition"] = "train"
    assert sizes(partitions) == {"train": 8215, "val": 573, "test": 1227}
    assert partitions["partition"].tolist() == ham10000["partition_c"].tolist()


# Counts


def test_test_images_whose_lesion_is_trained_on_are_counted():
    labels = pd.DataFrame({"lesion_id": list("AAABBCCDEE")})
    groups = pd.DataFrame({"group": list("AAABBCCAEE")})
    partition = ["train", "test", "test", "val", "test", "test", "test", "train", "cal", "test"]
    # A is trained on: its 2 test images count. B's lesion is in val, E's in cal, C's nowhere else.
    # D is of A's group, but no test image.
    assert describe_split(labels, pd.DataFrame({"partition": partition}), groups) == {
        "n_train": 2,
        "n_val": 1,
        "n_cal": 1,
        "n_test": 6,
        "n_test_sharing_a_lesion_with_train": 2,
        "n_test_sharing_a_group_with_train": 2,
    }


def test_test_images_whose_group_is_trained_on_are_counted_though_their_lesion_is_not():
    labels = pd.DataFrame({"lesion_id": list("ABCC")})
    groups = pd.DataFrame({"group": list("AACC")})
    partitions = pd.DataFrame({"partition": ["train", "test", "test", "test"]})
    counts = describe_split(labels, partitions, groups)
    assert counts["n_test_sharing_a_lesion_with_train"] == 0
    assert counts["n_test_sharing_a_group_with_train"] == 1


def test_by_lesion_no_test_image_shares_a_lesion_with_train_but_by_image_some_do():
    labels = cohort(30)
    name = "n_test_sharing_a_lesion_with_train"
    groups = lesions_as_groups(labels)
    assert describe_split(labels, split(labels), groups)[name] == 0
    assert describe_split(labels, split(labels, by="image"), groups)[name] > 0


# Faults


def test_a_class_of_one_lesion_cannot_be_split():
    labels = cohort(30)
    labels = labels[(labels["dx"] != "df") | (labels["lesion_id"] == "df2")]
    message = (
        r"^split\.test_size must find and leave lesions of every class; "
        r"the rarest left, df, has 1; .*; change the sizes in params\.yaml or bring more lesions$"
    )
    with pytest.raises(ValueError, match=message):
        split(labels)


def test_the_part_for_which_lesions_run_out_is_named():
    # Two lesions of df: one goes to test, one is left, and val cannot be drawn.
    labels = cohort(30)
    labels = labels[(labels["dx"] != "df") | labels["lesion_id"].isin(["df1", "df2"])]
    with pytest.raises(ValueError, match=r"^split\.val_size must .* rarest left, df, has 1; "):
        split(labels, test_size=0.5, val_size=0.2)


def test_by_image_sizes_that_leave_no_training_image_are_refused():
    # ceil(0.55 * 7) + ceil(0.4 * 7) = 4 + 3 = 7 of 7 images.
    message = r"^split\.val_size must leave images to train on; .* or bring more images$"
    with pytest.raises(ValueError, match=message):
        split(cohort(1), by="image", test_size=0.55, val_size=0.4, cal_size=0.0)


@pytest.mark.parametrize("by", ["image", "lesion"])
def test_a_class_without_any_image_is_named(by):
    labels = cohort(30, codes=[dx for dx in CODES if dx not in ("df", "mel")])
    with pytest.raises(ValueError, match=r"training images; none of the \d+ has df, mel; "):
        split(labels, by=by)


def test_a_class_that_the_column_does_not_train_on_is_named():
    labels = cohort(2).assign(mine="train")
    labels.loc[labels["dx"] == "vasc", "mine"] = "test"
    with pytest.raises(
        ValueError, match="every class must have training images; none of the 18 has vasc"
    ):
        split(labels, by="column", column="mine")


def test_a_missing_column_is_told_with_those_that_are_there():
    message = r"split\.column must be a column .* found 'fold', .* has lesion_id, dx, image_id$"
    with pytest.raises(ValueError, match=message):
        split(cohort(2), by="column", column="fold")


def test_another_word_in_the_column_is_told_with_its_image():
    labels = cohort(2).assign(mine="train")
    labels.loc[[3, 5], "mine"] = ["dev", None]
    message = (
        r"^column 'mine' must hold train, val, cal, test; "
        r"2 row\(s\) do not, first ISIC_3 with 'dev'$"
    )
    with pytest.raises(ValueError, match=message):
        split(labels, by="column", column="mine")
