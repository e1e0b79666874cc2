import pytest

HEADER_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
TRUTH_2018 = [
    HEADER_2018,
    "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
    "ISIC_0024307,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
    "ISIC_0024308,1.0,0.0,0.0,0.0,0.0,0.0,0.0",
]
IDS_2018 = ("ISIC_0024306", "ISIC_0024307", "ISIC_0024308")
TRAINING_2018 = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"
GROUPINGS = [
    "image,lesion_id,diagnosis_confirm_type",
    "ISIC_0024307,HAM_0000550,single image expert consensus",
    "ISIC_0024306,HAM_0000550,single image expert consensus",
    "ISIC_0024308,HAM_0003577,histopathology",
]
EIGHT = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def photographs(ids, folder="Input", suffix=".jpg"):
    return [f"{folder}/{image_id}{suffix}" for image_id in ids]


@pytest.mark.parametrize("suffix", [".csv", ".tab", ""])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_2018_becomes_ham10000s_columns(write, ingest, capsys, suffix, separator):
    lines = [line.replace(",", separator) for line in TRUTH_2018]
    write(f"ISIC2018_Task3_Test_GroundTruth{suffix}", lines=lines)
    write(*photographs(IDS_2018))
    table, images, excluded = ingest()
    assert table["dx"].tolist() == ["nv", "nv", "mel"]
    assert table["lesion_id"].tolist() == list(IDS_2018)
    assert set(table["age"]) == {""}
    assert images["ISIC_0024306"] == "images/ISIC_0024306.jpg"
    assert excluded == []
    said = capsys.readouterr().out
    assert said.startswith("sets.study.source.layout: auto took isic_challenge (ISIC2018_Task3_")


def test_the_lesions_of_2018_stay_together(write, ingest):
    write(TRAINING_2018, lines=TRUTH_2018)
    write("ISIC2018_Task3_Training_LesionGroupings.csv", lines=GROUPINGS)
    write(*photographs(IDS_2018))
    table, _, _ = ingest()
    assert table["lesion_id"].tolist() == ["HAM_0000550", "HAM_0000550", "HAM_0003577"]
    assert table["dx_type"].iloc[2] == "histopathology"


def test_a_lesion_with_two_diagnoses_is_refused_by_its_rows(write, ingest):
    write(TRAINING_2018, lines=TRUTH_2018)
    same = [line.replace("HAM_0003577", "HAM_0000550") for line in GROUPINGS]
    write("ISIC2018_Task3_Training_LesionGroupings.csv", lines=same)
    write(*photographs(IDS_2018))
    with pytest.raises(
        ValueError, match=r"^Rows 2 and 4 of .*: lesion HAM_0000550 has two dx, 'nv'"
    ):
        ingest()
    # Two words for one class are no contradiction.
    table, _, _ = ingest(codes=("pigmented", "bcc"), map={"nv": "pigmented", "mel": "pigmented"})
    assert table["diagnosis"].tolist() == ["nv", "nv", "mel"]


def test_2019_has_a_class_unknown_and_names_that_end_in_downsampled(write, ingest):
    lines = [
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000001_downsampled,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0",
        "ISIC_0000002,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000003,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0",
    ]
    metadata = [
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "ISIC_0000000,55.0,anterior torso,,female",
        "ISIC_0000001_downsampled,,,MSK4_0011169,",
        "ISIC_0000002,30.0,-,MSK4_0011170,male",
        "ISIC_0000003,NA,upper extremity,MSK4_0011171,male",
        "ISIC_0099999,30.0,head/neck,MSK4_0011170,male",
    ]
    write("ISIC_2019_Training_GroundTruth.csv", lines=lines)
    write("ISIC_2019_Training_Metadata.csv", lines=metadata)
    write("ISIC_2019_Training_Input/ISIC_0000000.jpg", "ISIC_2019_Training_Input/ISIC_0000003.jpg")
    write("ISIC_2019_Training_Input/ISIC_0000001_downsampled.jpg")
    write("ISIC_2019_Training_Input/ISIC_0000002_downsampled.jpg")  # its row has not the ending
    with pytest.raises(ValueError, match=r"unknown diagnoses \(1\):\n  'unk': 1 image") as refused:
        ingest(EIGHT)
    assert "sets.study.source.map, or leave it out by sets.study.source.exclude" in str(
        refused.value
    )
    table, images, excluded = ingest(EIGHT, exclude=["unk"])
    assert table["dx"].tolist() == ["nv", "scc", "mel"]
    assert table["age"].tolist() == ["55.0", "", "30.0"]
    assert table["localization"].tolist() == ["anterior torso", "", ""]
    assert table["lesion_id"].tolist() == ["ISIC_0000000", "MSK4_0011169", "MSK4_0011170"]
    assert images["ISIC_0000002"] == "images/ISIC_0000002.jpg"
    assert excluded == ["unk,1"]


def test_the_test_truth_of_2019_keeps_its_weights(write, ingest):
    lines = [
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,score_weight,validation_weight",
        "ISIC_0034321,0,0,1,0,0,0,0,0,0,0.5,0.0",
    ]
    write("ISIC_2019_Test_GroundTruth.csv", lines=lines)
    write(*photographs(["ISIC_0034321"]))
    assert ingest(EIGHT)[0]["score_weight"].tolist() == ["0.5"]


def test_2017_has_two_columns_and_naevi_between(write, ingest):
    lines = [
        "image_id,melanoma,seborrheic_keratosis",
        "ISIC_0000000,0.0,0.0",
        "ISIC_0000001,1.0,0.0",
        "ISIC_0000002,0.0,1.0",
    ]
    metadata = [
        "image_id,age_approximate,sex",
        "ISIC_0000000,55,female",
        "ISIC_0000001,unknown,unknown",
        "ISIC_0000002,30,male",
    ]
    write("ISIC-2017_Training_Part3_GroundTruth.csv", lines=lines)
    write("ISIC-2017_Training_Data/ISIC-2017_Training_Data_metadata.csv", lines=metadata)
    write(*photographs(["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]))
    write("Input/ISIC_0000000_superpixels.png")
    table, _, _ = ingest(map={"nevus": "nv", "melanoma": "mel", "seborrheic_keratosis": "bkl"})
    assert table["dx"].tolist() == ["nv", "mel", "bkl"]
    assert table["diagnosis"].tolist() == ["nevus", "melanoma", "seborrheic_keratosis"]
    assert table["age"].tolist() == ["55", "", "30"]
    assert table["sex"].tolist() == ["female", "unknown", "male"]


HEADER_2020 = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis"
TRUTH_2020 = [
    f"{HEADER_2020},benign_malignant,target",
    "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0",
    "ISIC_0015719,IP_7279968,,,,melanoma,malignant,1",
]


def test_2020_is_benign_or_malignant_with_patients(write, ingest):
    write("train.csv", lines=TRUTH_2020)
    write("test.csv", lines=[HEADER_2020.rpartition(",")[0], "ISIC_0052060,IP_3579794,male,70.0,"])
    write("sample_submission.csv", lines=["image_name,target", "ISIC_0052060,0"])
    write(*photographs(["ISIC_2637011", "ISIC_0015719"], folder="jpeg/train"))
    write("jpeg/test/ISIC_0052060.jpg")
    table, _, _ = ingest(("benign", "malignant"), extra_images="ignore")
    assert table["dx"].tolist() == ["benign", "malignant"]
    assert table["patient_id"].tolist() == ["IP_7279968", "IP_7279968"]
    assert table["lesion_id"].tolist() == ["ISIC_2637011", "ISIC_0015719"]
    assert table["diagnosis"].tolist() == ["unknown", "melanoma"]
    with pytest.raises(ValueError, match=r"1 of 3 image files have no row .* ISIC_0052060|jpeg"):
        ingest(("benign", "malignant"))


def test_another_column_can_be_the_diagnosis(write, ingest):
    write("train.csv", lines=TRUTH_2020)
    write(*photographs(["ISIC_2637011", "ISIC_0015719"]))
    settings = {"columns": {"dx": "diagnosis"}, "map": {"melanoma": "mel"}, "exclude": ["unknown"]}
    table, _, excluded = ingest(**settings)
    assert table["dx"].tolist() == ["mel"]
    assert excluded == ["unknown,1"]
    message = r"train\.csv lacks the columns dignosis; it has 'image_name', 'patient_id', "
    with pytest.raises(ValueError, match=message):
        ingest(columns={"dx": "dignosis"})


def test_2024_has_a_target(write, ingest):
    lines = [
        "isic_id,target,patient_id,age_approx,sex,anatom_site_general,clin_size_long_diam_mm,"
        "lesion_id,iddx_full",
        "ISIC_0015670,0,IP_1235828,60.0,male,lower extremity,3.04,,Benign",
        "ISIC_0015845,1,IP_8170065,60.0,male,head/neck,1.1,IL_6727506,Malignant",
    ]
    write("train-metadata.csv", lines=lines)
    write(*photographs(["ISIC_0015670", "ISIC_0015845"], folder="train-image/image"))
    table, _, _ = ingest(("benign", "malignant"))
    assert table["dx"].tolist() == ["benign", "malignant"]
    assert table["lesion_id"].tolist() == ["ISIC_0015670", "IL_6727506"]
    assert table["clin_size_long_diam_mm"].tolist() == ["3.04", "1.1"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("ISIC_9,1.0,1.0,0,0,0,0,0", "MEL '1.0', NV '1.0', BCC '0'"),
        ("ISIC_9,0,0,0,0,0,0,0", "MEL '0', NV '0'"),
        ("ISIC_9,0.7,0,0,0,0,0,0.3", "MEL '0.7'"),
        ("ISIC_9,1,yes,0,0,0,0,0", "NV 'yes'"),
        ("ISIC_9,,,,,,,", "MEL ''"),
        ("ISIC_9,nan,1,0,0,0,0,0", "MEL 'nan'"),
    ],
)
def test_a_row_that_is_not_exactly_one_hot_is_named(write, ingest, row, found):
    write(TRAINING_2018, lines=[*TRUTH_2018, row])
    message = rf"^Row 5 of ISIC2018_.*\.csv: not exactly one diagnosis, but .*{found}.*; correct it"
    with pytest.raises(ValueError, match=message):
        ingest()


def test_a_side_table_that_contradicts_itself_or_another_is_refused(write, ingest):
    write(TRAINING_2018, lines=TRUTH_2018)
    write("a.csv", lines=[*GROUPINGS, GROUPINGS[1]])
    with pytest.raises(ValueError, match=r"a\.csv has several rows for 'ISIC_0024307'; keep one"):
        ingest()
    write("a.csv", lines=GROUPINGS)
    write("b.csv", lines=[line.replace("HAM_0003577", "HAM_9") for line in GROUPINGS])
    message = r"b\.csv and another table differ in lesion_id for 'ISIC_0024308'; correct one"
    with pytest.raises(ValueError, match=message):
        ingest()


def test_two_truths_are_named(write, ingest):
    write("ISIC2018_Task3_Test_GroundTruth.csv", "more_GroundTruth.csv", lines=TRUTH_2018)
    message = r"^2 metadata files in .*: ISIC2018_.*\.csv, more_.*\.csv \(identical\); keep one"
    with pytest.raises(ValueError, match=message):
        ingest()


def test_predictions_beside_the_truth_are_passed_over(write, ingest):
    write(TRAINING_2018, "predictions.csv", lines=TRUTH_2018)
    write(*photographs(IDS_2018))
    assert len(ingest()[0]) == 3
