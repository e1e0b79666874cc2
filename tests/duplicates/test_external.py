import pandas as pd
import pytest

from lesions.duplicates.external import refuse_known_ids, refuse_same_files


def table(*rows):
    return pd.DataFrame(rows, columns=["image_id", "lesion_id"])


STUDY = table(("ISIC_1", "HAM_1"), ("ISIC_2", "HAM_1"))


def test_other_ids_are_accepted():
    refuse_known_ids(table(("A", "L"), ("B", "L"), ("C", "M")), STUDY)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ("ISIC_2", "L"),
            "^1 of 2 image_ids of the external set are also the study's, first ISIC_2",
        ),
        (
            ("A", "HAM_1"),
            "^1 of 2 lesion_ids of the external set are also the study's, first HAM_1",
        ),
    ],
)
def test_ids_of_the_study_are_refused_and_the_message_says_that_names_are_compared(row, message):
    with pytest.raises(ValueError, match=message) as refused:
        refuse_known_ids(table(("C", "M"), row), STUDY)
    assert "names are compared" in str(refused.value)


def test_files_of_the_study_under_other_names_are_refused_with_the_first_pair(tmp_path):
    contents = {"ISIC_1": b"one", "ISIC_2": b"two", "A": b"else", "B": b"two", "C": b"one"}
    files = {name: tmp_path / f"{name}.jpg" for name in contents}
    for name, path in files.items():
        path.write_bytes(contents[name])
    study = [files["ISIC_1"], files["ISIC_2"]]
    message = (
        "^2 of 3 external photographs are files of the study, first B, which is the study's ISIC_2"
    )
    with pytest.raises(ValueError, match=message):
        refuse_same_files([files["A"], files["B"], files["C"]], study)
    refuse_same_files([files["A"]], study)
