import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.exploration import choose_photographs, count_by, count_by_dx, describe_cohort
from lesions.taxonomy import CODES, COLUMNS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def metadata():
    """Nine images of six lesions, as text, as `read_metadata` gives them."""
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


def as_pairs(table):
    return list(table.itertuples(index=False, name=None))


def test_every_diagnosis_is_counted_in_the_order_of_the_taxonomy(metadata):
    assert as_pairs(count_by(metadata, "dx")) == [
        ("akiec", 0), ("bcc", 2), ("bkl", 0), ("df", 1), ("mel", 2), ("nv", 4), ("vasc", 0),
    ]  # fmt: skip


def test_values_go_from_frequent_to_rare_and_a_missing_one_is_unknown_and_last(metadata):
    # sex: 3 male, 3 female (a tie, alphabetical), one empty and two 'unknown'.
    assert as_pairs(count_by(metadata, "sex")) == [("female", 3), ("male", 3), ("unknown", 3)]
    assert as_pairs(count_by(metadata, "localization")) == [
        ("back", 4), ("abdomen", 1), ("foot", 1), ("unknown", 3),
    ]  # fmt: skip


def test_ages_are_counted_in_bins_of_five_years_without_gaps(metadata):
    # 40, 40 and 43 lie in [40, 45); nobody lies in [10, 30), [35, 40) or [45, 50).
    table = count_by(metadata, "age")
    assert table["age"].tolist() == [str(age) for age in range(5, 55, 5)] + ["unknown"]
    assert table["n_images"].tolist() == [1, 0, 0, 0, 0, 2, 0, 3, 0, 2, 1]


def test_numbers_as_pandas_reads_them_give_the_same_counts_as_text(metadata):
    numbers = metadata.assign(
        age=pd.to_numeric(metadata["age"]), sex=metadata["sex"].replace("", None)
    )
    for column in ("age", "sex"):
        pd.testing.assert_frame_equal(count_by(numbers, column), count_by(metadata, column))


def test_a_cohort_without_any_age_has_the_one_bin_unknown(metadata):
    assert as_pairs(count_by(metadata.assign(age=""), "age")) == [("unknown", 9)]


@pytest.mark.parametrize("column", ["sex", "age", "localization"])
def test_counts_by_diagnosis_add_up_to_the_counts_without(metadata, column):
    table = count_by_dx(metadata, column)
    assert table["dx"].tolist() == list(CODES) * table[column].nunique()
    sums = table.groupby(column, sort=False)["n_images"].sum().reset_index()
    pd.testing.assert_frame_equal(sums, count_by(metadata, column), check_dtype=False)
    by_dx = table.groupby("dx")["n_images"].sum()
    assert by_dx.to_dict() == dict(as_pairs(count_by(metadata, "dx")))


def test_the_cohort_is_described_in_seven_tables_and_not_changed(metadata):
    before = metadata.copy()
    tables = describe_cohort(metadata)
    assert list(tables) == [
        "dx", "sex", "age", "localization", "sex_by_dx", "age_by_dx", "localization_by_dx",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(metadata, before)


def test_photographs_are_of_different_lesions_as_long_as_there_are_any(metadata):
    for seed in range(20):
        chosen = choose_photographs(metadata, per_class=2, seed=seed)
        # nv has the lesions L1 (three images) and L2 (I4 only): with two drawn, I4 is one.
        assert "I4" in chosen["nv"]
        assert len(chosen["nv"]) == 2


def test_a_rare_diagnosis_gives_all_its_photographs_and_an_absent_one_none(metadata):
    chosen = choose_photographs(metadata, per_class=3, seed=1)
    assert list(chosen) == list(CODES)
    assert chosen["df"] == ["I7"]
    assert sorted(chosen["mel"]) == ["I5", "I6"]
    assert chosen["vasc"] == []


def test_the_same_seed_chooses_the_same_photographs(metadata):
    many = pd.concat([metadata.assign(image_id=metadata["image_id"] + f"_{i}") for i in range(20)])
    first, again, other = (choose_photographs(many, per_class=4, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_stage_writes_seven_tables_and_the_same_contact_sheet_twice(
    metadata, tmp_path, monkeypatch
):
    raw = tmp_path / "raw" / "HAM10000_images_part_1"
    raw.mkdir(parents=True)
    metadata.to_csv(tmp_path / "raw" / "HAM10000_metadata.csv", index=False)
    for place, image_id in enumerate(metadata["image_id"]):
        cv2.imwrite(str(raw / f"{image_id}.jpg"), np.full((12, 16, 3), 20 * place, np.uint8))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    for run in ("first", "second"):
        flags = f"--raw raw --cohort {run}/cohort --contact-sheet {run}/sheet.png"
        monkeypatch.setattr(sys, "argv", ["explore.py", *flags.split()])
        runpy.run_path(str(ROOT / "stages" / "explore.py"), run_name="__main__")

    assert len(list(Path("first/cohort").glob("*.csv"))) == 7
    assert pd.read_csv("first/cohort/dx.csv")["n_images"].sum() == 9
    assert Path("first/sheet.png").read_bytes() == Path("second/sheet.png").read_bytes()
