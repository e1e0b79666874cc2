import pandas as pd

from lesions.lines import curves


def test_the_line_of_chance_lies_below_the_curves_where_it_is_asked_for():
    table = pd.DataFrame({"dx": ["nv", "nv"], "precision": [0.5, 1], "recall": [1, 0.5]})
    with_chance, without = (
        curves(table, "recall", "precision", chance=chance)["layer"] for chance in (True, False)
    )
    assert with_chance[1:] == without
    assert with_chance[0]["data"]["values"] == [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
