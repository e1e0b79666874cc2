import pytest

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"
LINES = [
    HEADER,
    "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp",
    "HAM_1,ISIC_2,bkl,histo,,male,scalp",
    "HAM_2,ISIC_3,MEL,histo,50,-,face",
]


def test_a_diagnosis_that_is_mapped_is_kept_in_its_own_column(write, ingest, tmp_path):
    write("HAM10000_metadata.csv", lines=LINES)
    write("ISIC_1.jpg", "ISIC_2_downsampled.jpeg", "HAM10000_images_part_2/ISIC_3.png")
    write("masks/ISIC_1_segmentation.png")
    table, images, _ = ingest(("benign", "malignant"), map={"bkl": "benign", "MEL": "malignant"})
    assert table["dx"].tolist() == ["benign", "benign", "malignant"]
    assert table["diagnosis"].tolist() == ["bkl", "bkl", "MEL"]
    assert table["sex"].tolist() == ["male", "male", "-"]  # as it is
    assert images == {
        "ISIC_1": "HAM10000_images_part_1/ISIC_1.jpg",
        "ISIC_2": "HAM10000_images_part_1/ISIC_2.jpg",
        "ISIC_3": "HAM10000_images_part_2/ISIC_3.png",
    }


def test_a_code_in_another_case_counts(write, ingest):
    write("HAM10000_metadata.csv", lines=LINES)
    write("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    assert ingest()[0]["dx"].tolist() == ["bkl", "bkl", "mel"]


def test_what_is_left_out_is_neither_missing_nor_extra(write, ingest):
    write("HAM10000_metadata.csv", lines=LINES)
    write("ISIC_3.jpg", "ISIC_1.jpg")  # ISIC_2, of a diagnosis that is left out, has no file
    table, _, excluded = ingest(("mel", "nv"), exclude=["bkl"])
    assert table.index.tolist() == ["ISIC_3"]
    assert excluded == ["bkl,2"]


def test_an_image_that_is_left_out_and_kept_is_refused(write, ingest):
    write("HAM10000_metadata.csv", lines=[*LINES, LINES[1].replace("bkl", "nv")])
    write("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    with pytest.raises(ValueError, match=r"several rows for 1 images, .*, first ISIC_1; keep one"):
        ingest(exclude=["bkl"])


def test_rows_are_numbered_as_in_the_file_after_some_are_left_out(write, ingest):
    write("HAM10000_metadata.csv", lines=[*LINES, "HAM_4,ISIC_4,nv,histo,old,male,back"])
    with pytest.raises(ValueError, match=r"^Row 5 of HAM10000_metadata\.csv: age 'old' is not"):
        ingest(exclude=["bkl"])


def test_the_columns_are_recognised_whatever_the_files_name(write, ingest, capsys):
    write("cohort.csv", lines=LINES)
    write("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    assert len(ingest()[0]) == 3
    assert "auto took ham10000 (cohort.csv)" in capsys.readouterr().out


def test_another_column_can_be_the_diagnosis(write, ingest):
    lines = [f"{line},{word}" for line, word in zip(LINES, ("fine", "a", "a", "b"), strict=True)]
    write("HAM10000_metadata.csv", lines=lines)
    write("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    table, _, _ = ingest(("a", "b"), columns={"dx": "fine"})
    assert table["dx"].tolist() == ["a", "a", "b"]
    assert table["dx_in_source"].tolist() == ["bkl", "bkl", "MEL"]


def test_a_patient_that_is_not_known_is_the_lesions_own(write, ingest):
    words = ("patient_id", "P_1", "P_1", "")
    write("HAM10000_metadata.csv", lines=[f"{a},{b}" for a, b in zip(LINES, words, strict=True)])
    write("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    assert ingest()[0]["patient_id"].tolist() == ["P_1", "P_1", "HAM_2"]
