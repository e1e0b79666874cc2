import re

import pandas as pd
import pytest
from made_up_metadata import ROWS, replaced, table
from pandas._libs.parsers import STR_NA_VALUES

from lesions.rules import NOTHING, check_metadata
from lesions.taxonomy import COLUMNS

FAULTS = {
    "an unknown dx": (
        replaced("bkl", "melanoma", 0, 1),
        r"^dx must be one of akiec, bcc, bkl, df, mel, nv, vasc; "
        r"row 2 of HAM10000_metadata.csv has 'melanoma' \(and 1 more row\)\.$",
    ),
    "a dx in capitals": (replaced("mel", "MEL", 3), r"dx must .*; row 5 .* has 'MEL'\.$"),
    "an empty dx": (replaced("mel", "", 3), r"dx must .*; row 5 .* has ''\.$"),
    "an empty lesion_id": (
        replaced("HAM_2", "", 2),
        r"^lesion_id must not be empty; row 4 of HAM10000_metadata.csv has ''\.$",
    ),
    "an empty image_id": (
        replaced("ISIC_2", " ", 1),
        r"^image_id must not be empty; row 3 of HAM10000_metadata.csv has ' '\.$",
    ),
    "a space behind an id": (
        replaced("ISIC_2", "ISIC_2 ", 1),
        r"^image_id must have no spaces around it; row 3 of .* has 'ISIC_2 '\.$",
    ),
    "a lesion called nothing": (
        replaced("HAM_1", "NA", 0),
        r"^lesion_id must be no word that tables have for nothing, such as NA or null; row 2 of .* "
        r"has 'NA'",
    ),
    "a file name for an id": (
        [row.replace(",bkl", ".JPG,bkl") for row in ROWS],
        r"^image_id must be a file's name without its suffix; row 2 of .* has 'ISIC_1\.JPG' "
        r"\(and 1 more row\)\.$",
    ),
    "an image twice": (
        replaced("ISIC_3", "ISIC_1", 2),
        r"^image_id must stand in one row only; row 4 of HAM10000_metadata.csv has 'ISIC_1'\.$",
    ),
    "an image three times": (
        [*ROWS, *replaced("ISIC_1", "ISIC_3", 0)[:1], ROWS[2]],
        r"one row only; row 8 of .* has 'ISIC_3' \(and 1 more row\)\.$",
    ),
    "a lesion with two diagnoses": (
        replaced("bkl", "mel", 1),
        r"^a lesion must have one dx; lesion HAM_1 has 'bkl' in row 2 of HAM10000_metadata.csv "
        r"and 'mel' in row 3; correct the dx or the lesion_id\.$",
    ),
    "two lesions with two diagnoses": (
        [*replaced("bkl", "mel", 1), "HAM_2,ISIC_7,mel,histo,,female,back"],
        r"lesion HAM_1 .* in row 3 \(and 1 more lesion\); ",
    ),
    "an age in words": (
        replaced(",80", ",old", 1),
        r"^age must be empty or a number of years from 0 to 120; row 3 of .* has 'old'\.$",
    ),
    "an age below 0": (replaced(",45,", ",-1,", 4), r"^age must .*; row 6 of .* has '-1'\.$"),
    "an age over 120": (replaced(",45,", ",450,", 4), r"^age must .*; row 6 of .* has '450'\.$"),
    "an age of nan": (replaced(",45,", ",nan,", 4), r"^age must .*; row 6 of .* has 'nan'\.$"),
    "no rows": (
        [],
        r"^HAM10000_metadata.csv must have a row for each image; it has none; fetch it again\.$",
    ),
}


@pytest.mark.parametrize(("rows", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_counted_and_the_first_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*rows), name="HAM10000_metadata.csv")


def test_every_rule_that_is_broken_is_told_with_its_count():
    rows = [
        "HAM_1,ISIC_1,bkl,histo,800,male,scalp",  # age
        "HAM_1,ISIC_1.jpg,mel,histo,80,male,scalp",  # suffix; not the lesion's dx
        ",ISIC_3,naevus,follow_up,old,female,back",  # no lesion; no such dx; age
        ",ISIC_3,melanoma,histo,0,unknown,unknown",  # no lesion; twice; no such dx
        "HAM_4, ISIC_5,akiec,consensus,-1,female,face",  # space; age
    ]
    name = "HAM10000_metadata.csv"
    with pytest.raises(ValueError, match="breaks 7 rules") as refused:
        check_metadata(table(*rows), name=name)
    assert sorted(str(refused.value).splitlines()) == sorted(
        [
            f"{name} breaks 7 rules:",
            f"  lesion_id must not be empty; row 4 of {name} has '' (and 1 more row).",
            f"  image_id must have no spaces around it; row 6 of {name} has ' ISIC_5'.",
            f"  image_id must be a file's name without its suffix; row 3 of {name} has "
            "'ISIC_1.jpg'.",
            f"  image_id must stand in one row only; row 5 of {name} has 'ISIC_3'.",
            f"  dx must be one of akiec, bcc, bkl, df, mel, nv, vasc; row 4 of {name} has "
            "'naevus' (and 1 more row).",
            f"  age must be empty or a number of years from 0 to 120; row 2 of {name} has '800' "
            "(and 2 more rows).",
            f"  a lesion must have one dx; lesion HAM_1 has 'bkl' in row 2 of {name} and 'mel' in "
            "row 3; correct the dx or the lesion_id.",
        ]
    )


def test_rows_without_a_lesion_are_no_lesion_with_many_diagnoses():
    rows = replaced("HAM_", "", *range(6))
    rows = [row[1:] for row in rows]  # the number, which was the lesion's, goes as well
    with pytest.raises(
        ValueError, match=r"^lesion_id must not be empty; .* \(and 5 more rows\)\.$"
    ):
        check_metadata(table(*rows), name="cohort.csv")


def test_a_missing_column_is_named_beside_those_found():
    message = "it lacks dx, age and has 'lesion_id', 'image_id', 'dx_type', 'sex', 'localization';"
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*ROWS).drop(columns=["dx", "age"]), name="cohort.csv")


def test_a_column_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match=r"stand once; cohort.csv has 'dx' more than"):
        check_metadata(table(*ROWS)[[*COLUMNS, "dx"]], name="cohort.csv")


def test_a_column_that_the_pipeline_adds_is_refused():
    with pytest.raises(ValueError, match=r"cohort.csv has label already; rename or delete"):
        check_metadata(table(*ROWS).assign(label="1"), name="cohort.csv")


def test_rows_are_numbered_by_place_not_by_index():
    metadata = table(*replaced("mel", "melanoma", 3)).set_index(pd.Index(range(100, 106)))
    with pytest.raises(ValueError, match=r"row 5 of cohort.csv has 'melanoma'"):
        check_metadata(metadata, name="cohort.csv")


@pytest.mark.parametrize("word", sorted(STR_NA_VALUES - {""}))
def test_no_id_is_a_word_that_pandas_reads_as_nothing(word):
    assert re.fullmatch(NOTHING, word)
    for other in (word.swapcase(), f"{word}0", f"A{word}"):
        assert bool(re.fullmatch(NOTHING, other)) == (other in STR_NA_VALUES)
