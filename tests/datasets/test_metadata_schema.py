import re

import pytest
from made_up_metadata import ROWS, replaced, table
from pandas._libs.parsers import STR_NA_VALUES

from lesions.datasets.ham10000 import CODES, COLUMNS
from lesions.datasets.metadata_schema import MISSING_MARKERS, check_metadata

NAME = "HAM10000_metadata.csv"
FAULTS = {
    "an unknown dx": (
        replaced("bkl", "melanoma", 0, 1),
        r"^Row 2 of HAM10000_metadata.csv: unknown dx 'melanoma' \(and 1 more row\); expected one "
        r"of akiec, bcc, bkl, df, mel, nv, vasc$",
    ),
    "a dx in capitals": (replaced("mel", "MEL", 3), r"^Row 5 of .*: unknown dx 'MEL'; expected "),
    "an empty dx": (replaced("mel", "", 3), r"^Row 5 of .*: unknown dx ''; expected one of "),
    "an empty lesion_id": (
        replaced("HAM_2", "", 2),
        r"^Row 4 of HAM10000_metadata.csv: empty lesion_id ''; fill it in$",
    ),
    "an empty image_id": (
        replaced("ISIC_2", " ", 1),
        r"^Row 3 of HAM10000_metadata.csv: empty image_id ' '; fill it in$",
    ),
    "a space after an id": (
        replaced("ISIC_2", "ISIC_2 ", 1),
        r"^Row 3 of .*: image_id 'ISIC_2 ' has surrounding spaces; remove them$",
    ),
    "a missing-value marker as lesion": (
        replaced("HAM_1", "NA", 0),
        r"^Row 2 of .*: lesion_id 'NA' is a missing-value marker; choose another id$",
    ),
    "a file name as id": (
        [row.replace(",bkl", ".JPG,bkl") for row in ROWS],
        r"^Row 2 of .*: image_id 'ISIC_1\.JPG' is a file name \(and 1 more row\); remove the s",
    ),
    "an image twice": (
        replaced("ISIC_3", "ISIC_1", 2),
        r"^Row 4 of HAM10000_metadata.csv: repeated image_id 'ISIC_1'; keep one row per image$",
    ),
    "an image three times": (
        [*ROWS, *replaced("ISIC_1", "ISIC_3", 0)[:1], ROWS[2]],
        r"^Row 8 of .*: repeated image_id 'ISIC_3' \(and 1 more row\); keep",
    ),
    "a lesion with two diagnoses": (
        replaced("bkl", "mel", 1),
        r"^Rows 2 and 3 of HAM10000_metadata.csv: lesion HAM_1 has two dx, 'bkl' and 'mel'; "
        r"correct the dx or the lesion_id$",
    ),
    "two lesions with two diagnoses": (
        [*replaced("bkl", "mel", 1), "HAM_2,ISIC_7,mel,histo,,female,back"],
        r"^Rows 2 and 3 of .*: lesion HAM_1 .* \(and 1 more lesion\); ",
    ),
    "an age in words": (
        replaced(",80", ",old", 1),
        r"^Row 3 of .*: age 'old' is not a number from 0 to 120; correct it, or leave it empty$",
    ),
    "an age below 0": (replaced(",45,", ",-1,", 4), r"^Row 6 of .*: age '-1' is not a number "),
    "an age over 120": (replaced(",45,", ",450,", 4), r"^Row 6 of .*: age '450' is not a number "),
    "an age of nan": (replaced(",45,", ",nan,", 4), r"^Row 6 of .*: age 'nan' is not a number "),
    "no rows": (
        [],
        r"^HAM10000_metadata.csv has a header but no rows; download it again$",
    ),
}


@pytest.mark.parametrize(("rows", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_counted_and_the_first_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*rows), name=NAME, codes=CODES)


def test_every_broken_rule_is_reported_with_its_count():
    rows = [
        "HAM_1,ISIC_1,bkl,histo,800,male,scalp",  # age
        "HAM_1,ISIC_1.jpg,mel,histo,80,male,scalp",  # suffix; not the lesion's dx
        ",ISIC_3,naevus,follow_up,old,female,back",  # no lesion; no such dx; age
        ",ISIC_3,melanoma,histo,0,unknown,unknown",  # no lesion; repeated; no such dx
        "HAM_4, ISIC_5,akiec,consensus,-1,female,face",  # space; age
    ]
    with pytest.raises(ValueError, match="has 7 kinds of faults") as refused:
        check_metadata(table(*rows), name=NAME, codes=CODES)
    assert sorted(str(refused.value).splitlines()) == sorted(
        [
            f"{NAME} has 7 kinds of faults:",
            f"  Row 4 of {NAME}: empty lesion_id '' (and 1 more row); fill it in",
            f"  Row 6 of {NAME}: image_id ' ISIC_5' has surrounding spaces; remove them",
            f"  Row 3 of {NAME}: image_id 'ISIC_1.jpg' is a file name; remove the suffix",
            f"  Row 5 of {NAME}: repeated image_id 'ISIC_3'; keep one row per image",
            f"  Row 4 of {NAME}: unknown dx 'naevus' (and 1 more row); expected one of akiec, bcc, "
            "bkl, df, mel, nv, vasc",
            f"  Row 2 of {NAME}: age '800' is not a number from 0 to 120 (and 2 more rows); "
            "correct it, or leave it empty",
            f"  Rows 2 and 3 of {NAME}: lesion HAM_1 has two dx, 'bkl' and 'mel'; correct the dx "
            "or the lesion_id",
        ]
    )


def test_rows_without_a_lesion_are_not_one_lesion_with_several_diagnoses():
    rows = replaced("HAM_", "", *range(6))
    rows = [row[1:] for row in rows]  # the number, which was the lesion's, goes as well
    message = r"^Row 2 of cohort\.csv: empty lesion_id '' \(and 5 more rows\); fill it in$"
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*rows), name="cohort.csv", codes=CODES)


def test_a_missing_column_is_named_with_those_found():
    message = (
        r"cohort\.csv lacks the columns dx, age; it has 'lesion_id', 'image_id', 'dx_type', 'sex', "
        "'localization'; "
    )
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*ROWS).drop(columns=["dx", "age"]), name="cohort.csv")


def test_a_repeated_column_is_refused():
    with pytest.raises(ValueError, match=r"cohort\.csv has the column 'dx' several times"):
        check_metadata(table(*ROWS)[[*COLUMNS, "dx"]], name="cohort.csv")


def test_a_column_that_the_pipeline_adds_is_refused():
    with pytest.raises(ValueError, match=r"cohort\.csv has the columns label, which the pi"):
        check_metadata(table(*ROWS).assign(label="1"), name="cohort.csv")


def test_rows_are_numbered_as_in_the_file_where_some_are_left_out():
    metadata = table(*replaced("mel", "melanoma", 3)).drop(index=[0, 2])
    with pytest.raises(ValueError, match=r"Row 5 of cohort\.csv: unknown dx 'melanoma'"):
        check_metadata(metadata, name="cohort.csv", codes=CODES)
    several = table(*replaced("vasc", "nv", 5), "HAM_5,ISIC_7,mel,histo,,male,foot")
    with pytest.raises(ValueError, match=r"Rows 7 and 8 of .* HAM_5 has two dx, 'nv' and 'mel'"):
        check_metadata(several.drop(index=[1, 3]), name="cohort.csv")


@pytest.mark.parametrize("word", sorted(STR_NA_VALUES - {""}))
def test_no_id_is_a_value_that_pandas_reads_as_missing(word):
    assert re.fullmatch(MISSING_MARKERS, word)
    for other in (word.swapcase(), f"{word}0", f"A{word}"):
        assert bool(re.fullmatch(MISSING_MARKERS, other)) == (other in STR_NA_VALUES)
