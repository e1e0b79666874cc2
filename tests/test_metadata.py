import pandas as pd
import pytest

from lesions.metadata import check_metadata, encode_labels, read_metadata
from lesions.taxonomy import COLUMNS

HEADER = ",".join(COLUMNS)
ROWS = [
    "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp",
    "HAM_1,ISIC_2,bkl,histo,80,male,scalp",
    "HAM_2,ISIC_3,nv,follow_up,,female,back",
    "HAM_3,ISIC_4,mel,histo,0,unknown,unknown",
    "HAM_4,ISIC_5,akiec,consensus,45,female,face",
    "HAM_5,ISIC_6,vasc,confocal,120,male,foot",
]


def write(folder, *lines, name="HAM10000_metadata.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


def table(*rows):
    return pd.DataFrame([row.split(",") for row in rows], columns=list(COLUMNS), dtype=str)


def replaced(old, new, *places):
    return [row.replace(old, new) if n in places else row for n, row in enumerate(ROWS)]


def test_values_stay_as_they_stand_in_the_file(tmp_path):
    metadata = read_metadata(write(tmp_path, HEADER, *ROWS))
    assert tuple(metadata.columns) == COLUMNS
    assert [",".join(row) for row in metadata.to_numpy()] == ROWS


def test_text_that_pandas_takes_for_missing_stays(tmp_path):
    rows = replaced("scalp", "NA", 0)
    assert read_metadata(write(tmp_path, HEADER, *rows))["localization"].iloc[0] == "NA"


def test_further_columns_are_kept(tmp_path):
    lines = [f"{HEADER},partition", *(f"{row},train" for row in ROWS)]
    metadata = read_metadata(write(tmp_path, *lines))
    assert tuple(metadata.columns) == (*COLUMNS, "partition")
    assert set(metadata["partition"]) == {"train"}


@pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata"])
def test_the_tab_file_of_dataverse_gives_the_same_values(tmp_path, name):
    # Dataverse quotes strings, not numbers, and adds the column `dataset`.
    lines = ["\t".join((*COLUMNS, "dataset"))]
    for row in ROWS:
        cells = [*row.split(","), "vidir_modern"]
        lines.append("\t".join(c if n == 4 else f'"{c}"' for n, c in enumerate(cells)))
    metadata = read_metadata(write(tmp_path, *lines, name=name))
    assert [",".join(row) for row in metadata[list(COLUMNS)].to_numpy()] == ROWS
    assert set(metadata["dataset"]) == {"vidir_modern"}


def test_a_byte_order_mark_windows_line_ends_and_a_last_empty_line_do_no_harm(tmp_path):
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_bytes(("\ufeff" + "\r\n".join([HEADER, *ROWS]) + "\r\n\r\n").encode())
    assert read_metadata(path)["lesion_id"].tolist() == table(*ROWS)["lesion_id"].tolist()


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
    "a row cut short": (
        replaced(",male,scalp", "", 0, 1),
        r"^a row must have a value for each of the 7 columns; row 2 of HAM10000_metadata.csv has 5 "
        r"\(and 1 more row\); mend it\.$",
    ),
    "an empty line in the middle": ([ROWS[0], "", ROWS[1]], r"7 columns; row 3 of .* has 0; mend"),
    "a quote that never closes": (
        replaced("ISIC_3", '"ISIC_3', 2),
        r"^HAM10000_metadata.csv must be comma- or tab-separated values; line \d is not: .* fetch",
    ),
}


@pytest.mark.parametrize(("rows", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_counted_and_the_first_is_named(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_metadata(write(tmp_path, HEADER, *rows))


def test_every_rule_that_is_broken_is_told_with_its_count(tmp_path):
    rows = [
        "HAM_1,ISIC_1,bkl,histo,800,male,scalp",  # age
        "HAM_1,ISIC_1.jpg,mel,histo,80,male,scalp",  # suffix; not the lesion's dx
        ",ISIC_3,naevus,follow_up,old,female,back",  # no lesion; no such dx; age
        ",ISIC_3,melanoma,histo,0,unknown,unknown",  # no lesion; twice; no such dx
        "HAM_4, ISIC_5,akiec,consensus,-1,female,face",  # space; age
    ]
    with pytest.raises(ValueError, match="breaks 7 rules") as refused:
        read_metadata(write(tmp_path, HEADER, *rows))
    name = "HAM10000_metadata.csv"
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


def test_rows_without_a_lesion_are_no_lesion_with_many_diagnoses(tmp_path):
    rows = replaced("HAM_", "", *range(6))
    rows = [row[1:] for row in rows]  # the number, which was the lesion's, goes as well
    with pytest.raises(
        ValueError, match=r"^lesion_id must not be empty; .* \(and 5 more rows\)\.$"
    ):
        read_metadata(write(tmp_path, HEADER, *rows))


# The ISIC's ground truth: its columns stand in an order of their own.
ONE_HOT = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
TRUTH = ["ISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0", "ISIC_2,0,0,0,0,0,0,1", "ISIC_3,0,0,0,1.0,0,0,0"]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_the_isics_ground_truth_becomes_ham10000s_columns(tmp_path, separator):
    lines = [line.replace(",", separator) for line in [ONE_HOT, *TRUTH]]
    metadata = read_metadata(write(tmp_path, *lines, name="ISIC2018_Task3_Test_GroundTruth.csv"))
    assert tuple(metadata.columns) == COLUMNS
    assert [",".join(row) for row in metadata.to_numpy()] == [
        "ISIC_1,ISIC_1,nv,,,,",
        "ISIC_2,ISIC_2,vasc,,,,",
        "ISIC_3,ISIC_3,akiec,,,,",
    ]


def test_further_columns_of_a_ground_truth_are_kept(tmp_path):
    lines = [f"{ONE_HOT},weight", *(f"{row},0.5" for row in TRUTH)]
    metadata = read_metadata(write(tmp_path, *lines))
    assert tuple(metadata.columns) == (*COLUMNS, "weight")
    assert set(metadata["weight"]) == {"0.5"}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("ISIC_9,1.0,1.0,0,0,0,0,0", "'mel and nv'"),
        ("ISIC_9,0,0,0,0,0,0,0", "''"),
        ("ISIC_9,0.7,0,0,0,0,0,0", "'mel 0.7'"),
        ("ISIC_9,1,yes,0,0,0,0,0", "'mel and nv yes'"),
    ],
)
def test_a_ground_truth_with_other_than_one_diagnosis_is_refused(tmp_path, row, found):
    with pytest.raises(ValueError, match=rf"^dx must be .*; row 5 of .* has {found}\.$"):
        read_metadata(write(tmp_path, ONE_HOT, *TRUTH, row))


def test_a_ground_truth_with_other_diagnoses_is_not_taken_for_one(tmp_path):
    with pytest.raises(
        ValueError, match=r"it lacks lesion_id, .* and has 'image', 'MEL', 'NV', 'BC"
    ):
        read_metadata(write(tmp_path, ONE_HOT.replace("AKIEC", "AK"), *TRUTH))


def test_a_missing_column_is_named_beside_those_found():
    message = "it lacks dx, age and has 'lesion_id', 'image_id', 'dx_type', 'sex', 'localization';"
    with pytest.raises(ValueError, match=message):
        check_metadata(table(*ROWS).drop(columns=["dx", "age"]), name="cohort.csv")


def test_semicolons_between_the_values_are_told_from_commas(tmp_path):
    path = write(tmp_path, *(line.replace(",", ";") for line in [HEADER, *ROWS]))
    with pytest.raises(ValueError, match=r"has 'lesion_id;image_id;.*; separate them by commas"):
        read_metadata(path)


def test_a_column_that_stands_twice_is_refused(tmp_path):
    path = write(tmp_path, f"{HEADER},dx", *(f"{row},nv" for row in ROWS))
    with pytest.raises(ValueError, match=r"stand once; HAM10000_metadata.csv has 'dx' more than"):
        read_metadata(path)


def test_a_column_that_the_pipeline_adds_is_refused():
    with pytest.raises(ValueError, match=r"cohort.csv has label already; rename or delete"):
        check_metadata(table(*ROWS).assign(label="1"), name="cohort.csv")


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must have a header and rows; it is empty; fetch it"):
        read_metadata(write(tmp_path))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = write(tmp_path, HEADER, *replaced("scalp", "Schädel", 0), encoding="latin-1")
    place = path.read_bytes().index("ä".encode("latin-1")) + 1
    with pytest.raises(ValueError, match=f"UTF-8; byte {place} is not; save it as CSV UTF-8"):
        read_metadata(path)


def test_rows_are_numbered_by_place_not_by_index():
    metadata = table(*replaced("mel", "melanoma", 3)).set_index(pd.Index(range(100, 106)))
    with pytest.raises(ValueError, match=r"row 5 of cohort.csv has 'melanoma'"):
        check_metadata(metadata, name="cohort.csv")


def test_labels_are_places_in_alphabetical_order():
    metadata = table(*ROWS)
    paths = {f"ISIC_{n}": f"part/ISIC_{n}.jpg" for n in range(1, 9)}
    labels = encode_labels(metadata, paths)
    # akiec 0, bcc 1, bkl 2, df 3, mel 4, nv 5, vasc 6
    assert labels["label"].tolist() == [2, 2, 5, 4, 0, 6]
    assert labels["label"].dtype == "int64"
    assert labels["image_path"].tolist() == [f"part/ISIC_{n}.jpg" for n in range(1, 7)]
    assert tuple(labels.columns) == (*COLUMNS, "label", "image_path")
    pd.testing.assert_frame_equal(metadata, table(*ROWS))


def test_images_without_a_path_are_counted_and_the_first_is_named():
    with pytest.raises(ValueError, match="4 of 6 have none, first ISIC_3; look in the raw folder"):
        encode_labels(table(*ROWS), {"ISIC_1": "1.jpg", "ISIC_2": "2.jpg"})


def test_an_unknown_dx_gets_no_label():
    with pytest.raises(ValueError, match=r"dx must be .* row 5 of the metadata has 'melanoma'"):
        encode_labels(table(*replaced("mel", "melanoma", 3)), {})


def test_ham10000_has_the_lesions_and_diagnoses_that_were_published(shared):
    metadata = read_metadata(shared("ham10000_28/HAM10000_metadata.csv"))
    assert len(metadata) == 10015
    assert metadata["lesion_id"].nunique() == 7470
    counts = {
        "nv": 6705,
        "mel": 1113,
        "bkl": 1099,
        "bcc": 514,
        "akiec": 327,
        "vasc": 142,
        "df": 115,
    }
    assert metadata["dx"].value_counts().to_dict() == counts
    assert (metadata["age"] == "").sum() == 57
    how = {"histo": 5340, "follow_up": 3704, "consensus": 902, "confocal": 69}
    assert metadata["dx_type"].value_counts().to_dict() == how
    assert (metadata["lesion_id"].value_counts() > 1).sum() == 1956
    assert tuple(metadata.columns) == (*COLUMNS, "partition", "partition_c")


def test_the_sample_has_ten_lesions_of_each_diagnosis(shared):
    metadata = read_metadata(shared("ham10000_sample/HAM10000_metadata.csv"))
    assert set(metadata["dx"].value_counts()) == {10}
    assert metadata["lesion_id"].nunique() == 70
    assert metadata["age"].iloc[0] == "75.0"
