import re

import pandas as pd
import vl_convert

from lesions.dots import intervals


def test_a_score_without_interval_is_a_dot_alone():
    rows = [
        {"name": "a", "model": "m", "value": 0.5, "low": None, "high": None},
        {"name": "b", "model": "m", "value": None, "low": None, "high": None},
    ]
    spec = intervals(pd.DataFrame(rows), {"m": "red"}, title="score")
    assert [row["name"] for row in spec["data"]["values"]] == ["a"]
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    assert not re.search(r"mark-rule role-mark[^>]*><line", svg)
