import pandas as pd
import pytest

from lesions.external import as_test_part


def table(*rows):
    return pd.DataFrame(rows, columns=["image_id", "lesion_id"])


STUDY = table(("ISIC_1", "HAM_1"), ("ISIC_2", "HAM_1"))


def test_all_of_an_external_set_is_to_test_on_and_lesions_are_its_groups():
    groups, partitions = as_test_part(table(("A", "L"), ("B", "L"), ("C", "M")), STUDY)
    assert groups.to_dict("list") == {"image_id": ["A", "B", "C"], "group": ["L", "L", "M"]}
    assert partitions.to_dict("list") == {"image_id": ["A", "B", "C"], "partition": ["test"] * 3}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("ISIC_2", "L"), "an external photograph must be .* 1 of 2 are, first ISIC_2"),
        (("A", "HAM_1"), "an external lesion must be .* 1 of 2 are, first HAM_1"),
    ],
)
def test_what_the_study_has_already_is_refused(row, message):
    with pytest.raises(ValueError, match=message):
        as_test_part(table(("C", "M"), row), STUDY)
