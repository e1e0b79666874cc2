import pandas as pd

from lesions.counts import confusion_matrix, stacked_bars
from lesions.taxonomy import CODES


def test_bars_keep_the_order_of_the_table_and_leave_out_nothing():
    table = pd.DataFrame({"sex": ["male", "female"], "dx": ["nv", "nv"], "n_images": [0, 3]})
    spec = stacked_bars(table, "sex")
    assert spec["encoding"]["y"]["sort"] == ["male", "female"]
    assert spec["data"]["values"] == [{"sex": "female", "dx": "nv", "n_images": 3, "place": 5}]
    assert CODES[5] == "nv"


def test_a_field_of_the_matrix_is_shaded_by_its_share_of_the_diagnosis():
    spec = confusion_matrix({"mel": {"mel": 3, "nv": 1}, "nv": {"mel": 0, "nv": 0}})
    # 3 and 1 of 4 melanomas; of no nevus at all, nothing.
    assert [row["share"] for row in spec["data"]["values"]] == [0.75, 0.25, 0, 0]
