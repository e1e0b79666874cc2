import pytest

HEADER = "isic_id,attribution,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3"
HEADER += ",diagnosis_confirm_type,lesion_id,patient_id,sex"
LINES = [
    HEADER,
    "ISIC_0000000,MSKCC,55.0,posterior torso,Benign,Benign melanocytic proliferations,Nevus,"
    "histopathology,IL_1,IP_1,female",
    "ISIC_0000001,MSKCC,,,Malignant,Malignant melanocytic proliferations (Melanoma),"
    '"Melanoma, NOS",histopathology,,IP_1,male',
    "ISIC_0000002,MSKCC,85.0,-,Indeterminate,,,,IL_3,,",
    "ISIC_0000003,MSKCC,40.0,palms/soles,Benign,Benign epidermal proliferations,,,,NA,male",
]
MAP = {"Nevus": "nv", "Malignant melanocytic proliferations (Melanoma)": "mel"}
MAP |= {"Benign epidermal proliferations": "bkl"}


@pytest.fixture
def archive(write):
    write("metadata.csv", lines=LINES)
    write(*(f"ISIC_000000{n}.jpg" for n in range(4)))


def test_the_most_specific_level_that_is_known_is_taken(archive, ingest, capsys):
    table, images, excluded = ingest(map=MAP, exclude=["Indeterminate"])
    assert "auto took isic_archive (metadata.csv)" in capsys.readouterr().out
    assert table["dx"].tolist() == ["nv", "mel", "bkl"]
    assert table["diagnosis"].tolist() == list(MAP)
    assert table["lesion_id"].tolist() == ["IL_1", "ISIC_0000001", "ISIC_0000003"]
    assert table["patient_id"].tolist() == ["IP_1", "IP_1", "ISIC_0000003"]
    assert table["dx_type"].tolist() == ["histopathology", "histopathology", ""]
    assert table["localization"].iloc[0] == "posterior torso"
    assert table["diagnosis_1"].tolist() == ["Benign", "Malignant", "Benign"]
    assert set(images.values()) == {f"images/ISIC_000000{n}.jpg" for n in (0, 1, 3)}
    assert excluded == ["Indeterminate,1"]


def test_unknown_diagnoses_are_listed_by_their_last_level_with_counts(archive, ingest):
    with pytest.raises(ValueError, match=r"metadata\.csv has unknown diagnoses \(4\)") as refused:
        ingest()
    for listed in ("'Nevus': 1 image", "'Melanoma, NOS': 1 image", "'Indeterminate': 1 image"):
        assert listed in str(refused.value)


def test_a_general_level_can_be_the_class(archive, ingest):
    codes = ("benign", "malignant")
    table, _, _ = ingest(codes, exclude=["Indeterminate"])
    assert table["dx"].tolist() == ["benign", "malignant", "benign"]


def test_the_older_export_has_one_diagnosis(write, ingest):
    lines = ["isic_id,age_approx,benign_malignant,diagnosis", "ISIC_0000000,55,benign,nevus"]
    write("metadata.csv", lines=[*lines, "ISIC_0000001,,malignant,melanoma"])
    write("ISIC_0000000.JPG", "ISIC_0000001_downsampled.jpg")
    table, images, _ = ingest(map={"nevus": "nv", "melanoma": "mel"})
    assert table["dx"].tolist() == ["nv", "mel"]
    assert table["diagnosis"].tolist() == ["nevus", "melanoma"]
    assert images["ISIC_0000001"] == "images/ISIC_0000001.jpg"
    assert table["benign_malignant"].tolist() == ["benign", "malignant"]
