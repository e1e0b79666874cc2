"""The report's chart of dots on intervals: a dict, ready for JSON, see `lesions.vega`."""

from collections.abc import Mapping

import pandas as pd

from lesions.vega import UNIT, chart, coloured, height_of, unique


def intervals(rows: pd.DataFrame, colours: Mapping[str, str], *, title: str) -> dict:
    """Draw values as dots on their intervals, one line for each `name` and `model`.

    Parameters
    ----------
    rows
        `name` (the line's label), `model`, `value`, `low`, `high`; the last two may be missing.
    colours
        Model to colour, in the order in which they stand.
    title
        Of the axis, from 0 to 1.
    """
    rows = rows.dropna(subset=["value"])
    several = bool(rows.duplicated("name").any())
    encoding = {
        "y": {
            "field": "name",
            "type": "nominal",
            "sort": unique(rows["name"]),
            "title": None,
            "axis": {"labelLimit": 150, "grid": several, "tickBand": "extent"},
        },
        "color": coloured("model", colours),
        "tooltip": [{"field": name} for name in ("name", "model", "value", "low", "high")],
    }
    if several:
        encoding["yOffset"] = {"field": "model", "sort": list(colours)}
    line = 10 + 13 * rows["model"].nunique()
    height = height_of(rows["name"], line)
    return chart(rows, layer=_dots_on_rules(title), encoding=encoding, height=height)


def _dots_on_rules(title):
    """Give the layers: an interval, where there is one, and on it the value."""
    x = {"type": "quantitative", "scale": UNIT, "title": title}
    return [
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 2.5, "opacity": 0.55},
            "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {"x": x | {"field": "value"}},
        },
    ]
