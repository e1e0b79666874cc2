import pytest

LINES = [
    "patient_id,lesion_id,smoke,age,gender,region,diagnostic,itch,img_id,biopsed",
    "PAT_1516,1765,,8,,ARM,NEV,FALSE,PAT_1516_1765_530.png,False",
    "PAT_46,881,False,55,FEMALE,NECK,BCC,True,PAT_46_881_939.png,True",
    "PAT_46,881,False,55,FEMALE,NECK,BCC,True,PAT_46_881_14.png,True",
    "PAT_1545,,,77,MALE,FACE,SEK,FALSE,PAT_1545_1867_547.png,",
]
FILES = [f"imgs_part_{n % 3 + 1}/{line.split(',')[-2]}" for n, line in enumerate(LINES[1:])]
CODES = ("ack", "bcc", "mel", "nev", "scc", "sek")


def test_png_photographs_patients_and_biopsies_are_read(write, ingest, capsys):
    write("metadata.csv", lines=LINES)
    write(*FILES)
    table, images, _ = ingest(CODES)
    assert "auto took pad_ufes_20" in capsys.readouterr().out
    assert table.index[0] == "PAT_1516_1765_530"
    assert images["PAT_46_881_939"] == "images/PAT_46_881_939.png"
    assert table["dx"].tolist() == ["nev", "bcc", "bcc", "sek"]
    assert table["diagnosis"].tolist() == ["NEV", "BCC", "BCC", "SEK"]
    assert table["dx_type"].tolist() == ["not biopsied", "biopsied", "biopsied", ""]
    assert table["lesion_id"].tolist() == ["1765", "881", "881", "PAT_1545_1867_547"]
    assert table["patient_id"].tolist() == ["PAT_1516", "PAT_46", "PAT_46", "PAT_1545"]
    assert table["sex"].tolist() == ["", "FEMALE", "FEMALE", "MALE"]
    assert table["localization"].tolist() == ["ARM", "NECK", "NECK", "FACE"]
    assert table["itch"].tolist() == ["FALSE", "True", "True", "FALSE"]


def test_a_truncated_png_is_refused_by_name(write, ingest, source):
    write("metadata.csv", lines=LINES)
    write(*FILES)
    path = source / FILES[1]
    path.write_bytes(path.read_bytes()[:-40])
    message = rf"^1 of 4 images are not complete images, first {FILES[1]}: its \d+ bytes cannot be"
    with pytest.raises(ValueError, match=message):
        ingest(CODES)
