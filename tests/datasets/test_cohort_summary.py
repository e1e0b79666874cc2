import pandas as pd
import pytest
from made_up import CODES

from lesions.datasets.cohort_summary import choose_photographs, summarize_cohort
from lesions.datasets.ham10000 import COLUMNS


@pytest.fixture
def metadata():
    """Nine images of six lesions, as text, as `read_metadata` returns them."""
    rows = [
        ("L1", "I1", "nv", "histo", "40.0", "male", "back"),
        ("L1", "I2", "nv", "histo", "40.0", "male", "back"),
        ("L1", "I3", "nv", "histo", "43", "male", "back"),
        ("L2", "I4", "nv", "histo", "50.0", "female", "abdomen"),
        ("L3", "I5", "mel", "histo", "50.0", "female", "back"),
        ("L4", "I6", "mel", "histo", "", "female", "unknown"),
        ("L5", "I7", "df", "histo", "5.0", "", "foot"),
        ("L6", "I8", "bcc", "histo", "30.0", "unknown", "unknown"),
        ("L6", "I9", "bcc", "histo", "30.0", "unknown", "unknown"),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def count(metadata, column):
    """Return values and numbers of images of one column, over all diagnoses."""
    table = summarize_cohort(metadata, codes=CODES).query("column == @column")
    return list(table.groupby("value", sort=False)["n_images"].sum().items())


def test_every_diagnosis_is_counted_in_alphabetical_order(metadata):
    assert count(metadata, "dx") == [
        ("akiec", 0), ("bcc", 2), ("bkl", 0), ("df", 1), ("mel", 2), ("nv", 4), ("vasc", 0),
    ]  # fmt: skip


def test_values_descend_in_frequency_and_missing_ones_are_unknown_and_last(metadata):
    # sex: 3 male, 3 female (a tie, alphabetical), one empty and two 'unknown'.
    assert count(metadata, "sex") == [("female", 3), ("male", 3), ("unknown", 3)]
    assert count(metadata, "localization") == [
        ("back", 4), ("abdomen", 1), ("foot", 1), ("unknown", 3),
    ]  # fmt: skip


def test_ages_are_counted_in_bins_of_five_years_without_gaps(metadata):
    # 40, 40 and 43 are in [40, 45); none is in [10, 30), [35, 40) or [45, 50).
    ages, counts = zip(*count(metadata, "age"), strict=True)
    assert ages == (*(str(age) for age in range(5, 55, 5)), "unknown")
    assert counts == (1, 0, 0, 0, 0, 2, 0, 3, 0, 2, 1)


def test_numbers_as_pandas_reads_them_give_the_same_counts_as_text(metadata):
    numbers = metadata.assign(
        age=pd.to_numeric(metadata["age"]), sex=metadata["sex"].replace("", None)
    )
    pd.testing.assert_frame_equal(
        summarize_cohort(numbers, codes=CODES), summarize_cohort(metadata, codes=CODES)
    )


def test_a_cohort_without_any_age_has_the_one_bin_unknown(metadata):
    assert count(metadata.assign(age=""), "age") == [("unknown", 9)]


def test_every_combination_of_value_and_dx_has_a_row_and_each_image_counts_once(metadata):
    before = metadata.copy()
    table = summarize_cohort(metadata, codes=CODES)
    assert list(table) == ["column", "value", "dx", "n_images"]
    assert list(table["column"].unique()) == ["dx", "sex", "age", "localization"]
    by_dx = metadata["dx"].value_counts().reindex(CODES, fill_value=0)
    for _, rows in table.groupby("column"):
        assert rows["dx"].tolist() == list(CODES) * rows["value"].nunique()
        assert rows.groupby("dx")["n_images"].sum().tolist() == by_dx.tolist()
    nevi = table.query("column == 'localization' and dx == 'nv'").set_index("value")["n_images"]
    assert nevi.to_dict() == {"back": 3, "abdomen": 1, "foot": 0, "unknown": 0}
    pd.testing.assert_frame_equal(metadata, before)


def test_photographs_are_of_different_lesions_while_there_are_any(metadata):
    for seed in range(20):
        chosen = choose_photographs(metadata, per_class=2, seed=seed, codes=CODES)
        # nv has the lesions L1 (three images) and L2 (I4 only): with two drawn, I4 is one.
        assert "I4" in chosen["nv"]
        assert len(chosen["nv"]) == 2


def test_a_rare_diagnosis_gives_all_its_photographs_and_an_absent_one_none(metadata):
    chosen = choose_photographs(metadata, per_class=3, seed=1, codes=CODES)
    assert list(chosen) == list(CODES)
    assert chosen["df"] == ["I7"]
    assert sorted(chosen["mel"]) == ["I5", "I6"]
    assert chosen["vasc"] == []


def test_the_same_seed_chooses_the_same_photographs(metadata):
    many = pd.concat([metadata.assign(image_id=metadata["image_id"] + f"_{i}") for i in range(20)])
    first, again, other = (
        choose_photographs(many, per_class=4, seed=s, codes=CODES) for s in (1, 1, 2)
    )
    assert first == again
    assert first != other
