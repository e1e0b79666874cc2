import math

import numpy as np
import pandas as pd
import pytest
from made_up import CODES
from sklearn.model_selection import KFold, train_test_split

from lesions.datasets.metadata import read_metadata
from lesions.duplicates.groups import group_images
from lesions.sampling.split import count_partitions, partition_images

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
    return partition_images(labels, groups, **SETTINGS | changes, codes=CODES)


def lesions_as_groups(labels):
    return pd.DataFrame({"image_id": labels["image_id"], "group": labels["lesion_id"]})


def pairs_of_lesions_as_groups(labels):
    """Join the lesions 0 and 1, 2 and 3, … of each class."""
    lesion = labels["lesion_id"].str.extract(r"([a-z]+)(\d+)")
    group = lesion[0] + (lesion[1].astype(int) // 2).astype(str)
    return pd.DataFrame({"image_id": labels["image_id"], "group": group})


def count_pairs(labels, partition):
    """Count the pairs of a lesion and a partition; as many as lesions if none is divided."""
    return len(set(zip(labels["lesion_id"], partition, strict=True)))


def find_leaks(groups, partitions):
    """Return whether each image's group is in several partitions."""
    partition = partitions["partition"].groupby(groups["group"].to_numpy())
    return (partition.transform("nunique") > 1).to_numpy()


def sizes(partitions):
    return partitions["partition"].value_counts().to_dict()


@pytest.fixture(scope="module")
def ham10000(shared):
    return read_metadata(shared("ham10000_28/HAM10000_metadata.csv"))


# By image


def test_by_image_the_test_partition_is_the_papers_2003_of_10015():
    # 0.2 * 10,015 = 2,003 exactly; nothing is left to round.
    labels = cohort(10).sample(10015, replace=True, random_state=0).reset_index(drop=True)
    partitions = split(labels, by="image", val_size=0.0, cal_size=0.0)
    assert sizes(partitions) == {"train": 8012, "test": 2003}


@pytest.mark.parametrize("seed", [1, 42])
def test_by_image_the_test_partition_is_scikit_learns_own(seed):
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


def test_the_test_partition_does_not_depend_on_the_other_sizes():
    # Otherwise models with and without a validation partition could not be compared.
    tested = [
        split(cohort(20), by=by, val_size=val, cal_size=cal)["partition"] == "test"
        for by in ("image", "lesion")
        for val, cal in [(0.0, 0.0), (0.1, 0.0), (0.2, 0.2)]
    ]
    np.testing.assert_array_equal(tested[0], tested[1])
    np.testing.assert_array_equal(tested[0], tested[2])
    np.testing.assert_array_equal(tested[3], tested[4])
    np.testing.assert_array_equal(tested[3], tested[5])


# By lesion


@pytest.mark.parametrize("seed", range(5))
def test_no_lesion_is_in_two_partitions(seed):
    labels = cohort(30)
    partition = split(labels, seed=seed)["partition"]
    assert count_pairs(labels, partition) == 7 * 30


def test_every_partition_has_its_share_of_the_lesions_of_every_class():
    # Of 30 lesions of each class, 20 % are 6 and 10 % are 3; 30 - 6 - 3 - 3 = 18 are left.
    labels = cohort(30)
    labels["partition"] = split(labels)["partition"]
    lesions = labels.drop_duplicates("lesion_id")
    counts = pd.crosstab(lesions["dx"], lesions["partition"])
    for name, expected in {"train": 18, "val": 3, "cal": 3, "test": 6}.items():
        assert counts[name].tolist() == [expected] * 7


def test_all_partitions_of_real_lesions_have_the_classes_proportions(ham10000):
    partition = split(ham10000, seed=42)["partition"]
    assert count_pairs(ham10000, partition) == 7470
    lesions = ham10000.assign(partition=partition).drop_duplicates("lesion_id")
    for name, share in {"val": 0.1, "cal": 0.1, "test": 0.2}.items():
        counts = lesions.loc[lesions["partition"] == name, "dx"].value_counts()
        # Stratified: the share of every class, give or take one lesion of rounding.
        np.testing.assert_allclose(
            counts[list(CODES)], share * lesions["dx"].value_counts()[list(CODES)], atol=1
        )
        assert counts.sum() == math.ceil(share * 7470)


# By image and by lesion


@pytest.mark.parametrize("by", ["image", "lesion"])
def test_the_partitions_depend_on_the_seed(by):
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
    with pytest.raises(ValueError, match=r"^Column .* makes no image a test image; "):
        split(cohort(20).assign(mine="train"), by="column", column="mine")


# By group


def test_with_lesions_as_groups_by_group_is_by_lesion():
    labels = cohort(20)
    by_group = split(labels, lesions_as_groups(labels), by="group")
    pd.testing.assert_frame_equal(by_group, split(labels))


@pytest.mark.parametrize("folds", [0, 4])
def test_no_group_is_in_two_partitions(folds):
    labels = cohort(30)
    groups = pairs_of_lesions_as_groups(labels)
    partitions = split(labels, groups, by="group", folds=folds)
    assert not find_leaks(groups, partitions).any()
    # 15 groups of each class: 20 % are 3; with 4 folds, 3 or 4.
    tested = groups.loc[partitions["partition"] == "test", "group"].drop_duplicates()
    per_class = tested.str.extract(r"([a-z]+)")[0].value_counts()
    assert set(per_class) <= ({3} if folds == 0 else {3, 4})


def test_a_group_of_two_diagnoses_counts_as_its_first():
    labels = cohort(30)
    groups = pairs_of_lesions_as_groups(labels)
    groups.loc[labels["lesion_id"] == "mel0", "group"] = "nv0"
    partitions = split(labels, groups, by="group")
    assert not find_leaks(groups, partitions).any()


@pytest.mark.parametrize("fault", ["fewer", "another order"])
def test_groups_of_other_images_are_refused(fault):
    labels = cohort(20)
    groups = lesions_as_groups(labels)
    given = {"fewer": groups[:-1], "another order": groups[::-1]}[fault]
    message = (
        rf"^The image ids of groups\.csv \({len(given)} rows\) and labels\.csv \(273 rows\) dif"
    )
    with pytest.raises(ValueError, match=message):
        split(labels, given, by="group")


# Folds


@pytest.mark.parametrize("by", ["image", "lesion", "group"])
def test_every_image_is_a_test_image_in_exactly_one_fold(by):
    labels = cohort(20)
    groups = pairs_of_lesions_as_groups(labels)
    folds = [
        split(labels, groups, by=by, folds=5, fold=fold)["partition"].to_numpy()
        for fold in range(5)
    ]
    np.testing.assert_array_equal(sum((fold == "test").astype(int) for fold in folds), 1)
    for fold in folds:
        assert {"val", "cal", "train"} < set(fold)


def test_folds_divide_no_lesion_and_have_equal_shares_of_every_class():
    # 20 lesions of each class in 5 folds: 4 in each; then val and cal take 10 % of all 20, 2 each.
    labels = cohort(20)
    for fold in range(5):
        labels["partition"] = split(labels, folds=5, fold=fold)["partition"]
        assert count_pairs(labels, labels["partition"]) == 7 * 20
        lesions = labels.drop_duplicates("lesion_id")
        counts = pd.crosstab(lesions["dx"], lesions["partition"])
        for name, expected in {"train": 12, "val": 2, "cal": 2, "test": 4}.items():
            assert counts[name].tolist() == [expected] * 7


def test_by_image_the_folds_are_scikit_learns_own():
    labels = cohort(20)
    expected = list(KFold(5, shuffle=True, random_state=1).split(np.arange(len(labels))))
    for fold, (_, test) in enumerate(expected):
        partition = split(labels, by="image", folds=5, fold=fold)["partition"]
        assert set(np.flatnonzero(partition == "test")) == set(test)


def test_the_test_size_is_not_used_with_folds():
    labels = cohort(20)
    pd.testing.assert_frame_equal(
        split(labels, folds=4, test_size=0.2), split(labels, folds=4, test_size=0.7)
    )


def test_more_folds_than_the_rarest_class_has_lesions_are_refused():
    labels = cohort(20)
    labels = labels[(labels["dx"] != "df") | labels["lesion_id"].isin(["df1", "df2"])]
    with pytest.raises(
        ValueError, match=r"^sets\.study\.split\.folds is 3, but .* only 2 units of df; "
    ):
        split(labels, folds=3)


# By column


def test_by_column_the_partitions_are_those_of_the_metadata():
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
def test_published_splits_are_kept(ham10000, column, train, val, test):
    partitions = split(ham10000, by="column", column=column)
    assert sizes(partitions) == {"train": train, "val": val, "test": test}
    counts = count_partitions(ham10000, partitions, lesions_as_groups(ham10000), codes=CODES)
    totals = counts.groupby("partition").sum(numeric_only=True)
    expected = {"train": train, "val": val, "cal": 0, "test": test}
    assert totals["n_images"].to_dict() == expected
    leaks = totals.loc["test", "n_images_of_train_lesions"]
    assert (leaks == 0) == (column == "partition_c")  # the one that was made to have none


def test_moving_leaking_groups_to_train_gives_the_published_corrected_split(ham10000, shared):
    # Abhishek, Jain, Hamarneh, Sci Data 12:196, 2025: lesions and 18 confirmed near-duplicates.
    confirmed = pd.read_csv(shared("ham10000_28/near_duplicates.csv"))
    row = pd.Series(range(len(ham10000)), index=ham10000["image_id"])
    pairs = pd.DataFrame(
        {
            "row": row[confirmed["image_id"]].to_numpy(),
            "other_row": row[confirmed["other_image_id"]].to_numpy(),
            "near_duplicate": True,
        }
    )
    groups = group_images(ham10000, pairs)
    partitions = split(ham10000, groups, by="column", column="partition")
    partitions.loc[find_leaks(groups, partitions), "partition"] = "train"
    assert sizes(partitions) == {"train": 8215, "val": 573, "test": 1227}
    assert partitions["partition"].tolist() == ham10000["partition_c"].tolist()


# By none


def test_by_none_all_are_test_images_even_without_some_classes():
    labels = cohort(2, codes=["nv", "mel"])
    partitions = partition_images(labels, lesions_as_groups(labels), by="none", seed=1, codes=CODES)
    assert partitions["image_id"].tolist() == labels["image_id"].tolist()
    assert set(partitions["partition"]) == {"test"}


# Counts


def count(labels, groups, partition):
    """Return the counts indexed by partition and dx."""
    partitions = pd.DataFrame({"partition": partition})
    table = count_partitions(labels, partitions, groups, codes=CODES)
    columns = ["partition", "dx", "n_images", "n_lesions"]
    columns += ["n_images_of_train_lesions", "n_images_of_train_groups"]
    assert list(table) == columns
    return table.set_index(["partition", "dx"])


def test_every_partition_and_diagnosis_is_counted_in_order():
    labels = pd.DataFrame({"lesion_id": list("AABC"), "dx": ["nv", "nv", "nv", "mel"]})
    groups = labels[["lesion_id"]].rename(columns={"lesion_id": "group"})
    counts = count(labels, groups, ["train", "train", "train", "val"])
    assert list(counts.index) == [
        (name, dx) for name in ("train", "val", "cal", "test") for dx in CODES
    ]
    assert counts.loc[("train", "nv")].tolist() == [3, 2, 0, 0]
    assert counts.loc[("val", "mel")].tolist() == [1, 1, 0, 0]
    assert counts["n_images"].sum() == 4  # all others are 0


def test_images_whose_lesion_has_training_images_are_counted():
    labels = pd.DataFrame({"lesion_id": list("AAABBCCDEE"), "dx": "nv"})
    groups = pd.DataFrame({"group": list("AAABBCCAEE")})
    partition = ["train", "test", "test", "val", "test", "test", "test", "train", "cal", "test"]
    # A has training images: its 2 test images count. B's lesion is in val, E's in cal, C's nowhere
    # else. D is of A's group, but no test image.
    counts = count(labels, groups, partition).xs("nv", level="dx")
    assert counts["n_images"].to_dict() == {"train": 2, "val": 1, "cal": 1, "test": 6}
    leaks = {"train": 0, "val": 0, "cal": 0, "test": 2}
    assert counts["n_images_of_train_lesions"].to_dict() == leaks
    assert counts["n_images_of_train_groups"].to_dict() == leaks


def test_images_whose_group_has_training_images_are_counted_though_their_lesion_has_none():
    labels = pd.DataFrame({"lesion_id": list("ABCC"), "dx": ["nv", "mel", "nv", "nv"]})
    groups = pd.DataFrame({"group": list("AACC")})
    counts = count(labels, groups, ["train", "test", "test", "test"])
    assert counts["n_images_of_train_lesions"].sum() == 0
    assert counts["n_images_of_train_groups"].sum() == 1
    assert counts.loc[("test", "mel"), "n_images_of_train_groups"] == 1


def test_by_lesion_no_image_shares_a_lesion_with_train_but_by_image_some_do():
    labels = cohort(30)
    by_lesion, by_image = (
        count(labels, lesions_as_groups(labels), split(labels, by=by)["partition"])
        for by in ("lesion", "image")
    )
    assert (by_lesion["n_images_of_train_lesions"] == 0).all()
    assert by_image.loc["test", "n_images_of_train_lesions"].sum() > 0


# Faults


def test_a_class_of_one_lesion_cannot_be_split():
    labels = cohort(30)
    labels = labels[(labels["dx"] != "df") | (labels["lesion_id"] == "df2")]
    message = (
        r"^sets\.study\.split\.test_size leaves too few lesions or groups of every class \(the "
        r"rarest left, df: 1\); change the sizes in params\.yaml, or add more lesions or groups$"
    )
    with pytest.raises(ValueError, match=message):
        split(labels)


def test_the_partition_for_which_there_are_too_few_lesions_is_named():
    # Two lesions of df: one goes to test, one is left, and val cannot be drawn.
    labels = cohort(30)
    labels = labels[(labels["dx"] != "df") | labels["lesion_id"].isin(["df1", "df2"])]
    with pytest.raises(
        ValueError, match=r"^sets\.study\.split\.val_size .* \(the rarest left, df: 1\); "
    ):
        split(labels, test_size=0.5, val_size=0.2)


def test_by_image_sizes_that_leave_no_training_image_are_refused():
    # ceil(0.55 * 7) + ceil(0.4 * 7) = 4 + 3 = 7 of 7 images.
    message = r"^sets\.study\.split\.val_size leaves too few images; .* or add more images$"
    with pytest.raises(ValueError, match=message):
        split(cohort(1), by="image", test_size=0.55, val_size=0.4, cal_size=0.0)


@pytest.mark.parametrize("by", ["image", "lesion"])
def test_a_class_without_any_image_is_named(by):
    labels = cohort(30, codes=[dx for dx in CODES if dx not in ("df", "mel")])
    with pytest.raises(ValueError, match=r"^No training image for df, mel \(of \d+\); "):
        split(labels, by=by)


def test_a_class_without_training_images_in_the_column_is_named():
    labels = cohort(2).assign(mine="train")
    labels.loc[labels["dx"] == "vasc", "mine"] = "test"
    with pytest.raises(ValueError, match=r"^No training image for vasc \(of 18\); "):
        split(labels, by="column", column="mine")


def test_a_missing_column_is_refused_and_the_others_are_named():
    message = (
        r"^sets\.study\.split\.column: the metadata have no column 'fold'; "
        r"they have lesion_id, dx, image_id$"
    )
    with pytest.raises(ValueError, match=message):
        split(cohort(2), by="column", column="fold")


def test_another_word_in_the_column_is_named_with_its_image():
    labels = cohort(2).assign(mine="train")
    labels.loc[[3, 5], "mine"] = ["dev", None]
    message = (
        r"^Column 'mine' of the metadata must hold train, val, cal, test; "
        r"2 row\(s\) do not, first ISIC_3 with 'dev'$"
    )
    with pytest.raises(ValueError, match=message):
        split(labels, by="column", column="mine")


@pytest.mark.parametrize("by", ["image", "lesion"])
def test_a_study_may_have_no_test_images(by):
    drawn = split(cohort(20), by=by, test_size=0.0)["partition"]
    assert set(drawn) == {"train", "val", "cal"}
