"""The charts of the report, as Vega-Lite specifications.

Every function takes a table and gives a dict, ready for JSON, see `lesions.vega`.
"""

from collections.abc import Mapping

import pandas as pd

from lesions.taxonomy import CODES
from lesions.vega import (
    ACCENT,
    DX_COLOURS,
    INK,
    ON_ACCENT,
    PANEL,
    SOFT,
    UNIT,
    chart,
    coloured,
    diagonal,
    height_of,
    number,
    unique,
)


def stacked_bars(table: pd.DataFrame, column: str) -> dict:
    """Count images by a column of the metadata, coloured by diagnosis.

    Parameters
    ----------
    table
        The column, `dx`, `n_images`; one row a combination, see `lesions.exploration.count_by_dx`.
    """
    rows = table[table["n_images"] > 0]
    encoding = {
        "y": {"field": column, "type": "nominal", "sort": unique(table[column]), "title": None},
        "x": {"field": "n_images", "type": "quantitative", "title": "images"},
        "color": coloured("dx", DX_COLOURS),
        "order": {"field": "place"},
        "tooltip": [
            {"field": column},
            {"field": "dx"},
            {"field": "n_images", "title": "images", "format": ","},
        ],
    }
    rows = rows.assign(place=rows["dx"].map(CODES.index))
    return chart(rows, mark="bar", encoding=encoding, height=height_of(table[column], 17))


def paired_bars(before: Mapping[str, int], after: Mapping[str, int]) -> dict:
    """Count training images of each diagnosis before (faint) and after over-sampling."""
    rows = [
        {"dx": dx, "images": counts[dx], "when": when}
        for when, counts in (("before", before), ("after", after))
        for dx in CODES
    ]
    encoding = {
        "y": {"field": "dx", "type": "nominal", "sort": list(CODES), "title": None},
        "yOffset": {"field": "when", "sort": ["before", "after"]},
        "x": {"field": "images", "type": "quantitative", "title": "training images"},
        "color": coloured("dx", DX_COLOURS),
        "fillOpacity": {
            "field": "when",
            "type": "ordinal",
            "scale": {"domain": ["before", "after"], "range": [0.4, 1]},
            "legend": None,
        },
        "tooltip": [{"field": "dx"}, {"field": "when"}, {"field": "images", "format": ","}],
    }
    return chart(pd.DataFrame(rows), mark="bar", encoding=encoding, height=len(rows) * 12)


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
    x = {"type": "quantitative", "scale": UNIT, "title": title}
    line = 10 + 13 * rows["model"].nunique()
    layer = [
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
    return chart(rows, layer=layer, encoding=encoding, height=height_of(rows["name"], line))


def learning_curves(table: pd.DataFrame, measure: str, colours: Mapping[str, str]) -> dict:
    """Draw a measure over the epochs: a colour a model, training dashed, validation whole.

    Parameters
    ----------
    table
        `model`, `partition`, `epoch` and the measure, see `lesions.comparison.gather_curves`.
    """
    y = {"field": measure, "type": "quantitative", "title": measure, "scale": {"zero": False}}
    encoding = {
        "x": number("epoch", "epoch", axis={"tickMinStep": 1}, scale={"zero": False}),
        "y": y | {"scale": UNIT} if measure == "accuracy" else y,
        "color": coloured("model", colours),
        "strokeDash": {
            "field": "partition",
            "type": "nominal",
            "scale": {"domain": ["train", "val"], "range": [[3, 3], [1, 0]]},
            "legend": None,
        },
        "tooltip": [{"field": name} for name in ("model", "partition", "epoch", measure)],
    }
    mark = {"type": "line", "point": {"size": 14, "opacity": 1}, "strokeWidth": 2}
    table = table[["model", "partition", "epoch", measure]]
    return chart(table, mark=mark, encoding=encoding, height=280)


def confusion_matrix(counts: Mapping[str, Mapping[str, int]]) -> dict:
    """Draw who is taken for whom: numbers of images, shaded by their share of the row.

    Parameters
    ----------
    counts
        `dx` to predicted `dx` to the number of images.
    """
    rows = [
        {
            "diagnosis": dx,
            "predicted": predicted,
            "images": n_images,
            "share": n_images / max(1, sum(row.values())),
        }
        for dx, row in counts.items()
        for predicted, n_images in row.items()
    ]
    axis = {"type": "nominal", "sort": list(CODES)}
    encoding = {
        "y": axis | {"field": "diagnosis", "axis": {"ticks": False, "domain": False}},
        "x": axis | {"field": "predicted", "axis": {"ticks": False, "domain": False}},
        "tooltip": [
            {"field": "diagnosis"},
            {"field": "predicted"},
            {"field": "images", "format": ","},
            {"field": "share", "format": ".1%", "title": "share of the diagnosis"},
        ],
    }
    encoding["x"]["axis"]["labelAngle"] = 0
    opacity = {"field": "share", "type": "quantitative", "legend": None}
    opacity["scale"] = UNIT | {"range": [0.05, 1]}
    layer = [
        {
            "mark": {"type": "rect", "fill": ACCENT, "stroke": PANEL, "strokeWidth": 2},
            "encoding": {"fillOpacity": opacity},
        },
        {
            "transform": [{"filter": "datum.images > 0"}],
            "mark": {"type": "text", "fontSize": 11},
            "encoding": {
                "text": {"field": "images", "format": ","},
                "color": {
                    "condition": {"test": "datum.share > 0.55", "value": ON_ACCENT},
                    "value": INK,
                },
            },
        },
    ]
    return chart(pd.DataFrame(rows), layer=layer, encoding=encoding, height=300)


def curves(table: pd.DataFrame, x: str, y: str, *, chance: bool) -> dict:
    """Draw one curve for each `dx`, points in the order of the table; `malignant` is dashed.

    Parameters
    ----------
    table
        `dx`, `x`, `y`, from 0 to 1.
    chance
        Whether to draw the line of chance.
    """
    encoding = {
        "x": number(x, x.replace("_", " "), scale=UNIT),
        "y": number(y, "PPV" if y == "ppv" else y, scale=UNIT),
        "color": coloured("dx", DX_COLOURS),
        "order": {"value": None},
        "strokeDash": {
            "condition": {"test": "datum.dx == 'malignant'", "value": [5, 3]},
            "value": [1, 0],
        },
        "tooltip": [{"field": name} for name in ("dx", x, y)],
    }
    layer = [{"mark": {"type": "line", "strokeWidth": 1.75, "clip": True}, "encoding": encoding}]
    if chance:
        layer.insert(0, diagonal(encoding))
    return chart(table[["dx", x, y]], layer=layer, height=270)


def reliability(table: pd.DataFrame) -> dict:
    """Draw how often the model is right against how sure it says it is.

    Parameters
    ----------
    table
        `probabilities` (`raw` or `calibrated`), `n_images`, `confidence`, `accuracy`; one row a bin
        that has images.
    """
    encoding = {
        "x": number("confidence", "how sure the model is", scale=UNIT),
        "y": number("accuracy", "how often it is right", scale=UNIT),
        "color": coloured("probabilities", {"raw": SOFT, "calibrated": ACCENT}),
        "tooltip": [
            {"field": name} for name in ("probabilities", "n_images", "confidence", "accuracy")
        ],
    }
    size = {"field": "n_images", "type": "quantitative", "legend": None}
    size["scale"] = {"type": "sqrt", "range": [12, 220]}
    layer = [
        {"mark": {"type": "line", "strokeWidth": 1.75}, "encoding": encoding},
        {
            "mark": {"type": "point", "filled": True, "opacity": 0.75},
            "encoding": encoding | {"size": size},
        },
    ]
    return chart(table, layer=[diagonal(encoding), *layer], height=270)


def referral(table: pd.DataFrame, measure: str, colours: Mapping[str, str]) -> dict:
    """Draw a measure of the images that are left when the least certain go to a person.

    Parameters
    ----------
    table
        `model`, `referred` (share of the images) and the measure, from 0 to 1.
    """
    name = measure.replace("_", " ")
    encoding = {
        "x": number("referred", "referred to a person", scale=UNIT, axis={"format": ".0%"}),
        "y": number(measure, f"{name} of the rest", scale=UNIT),
        "color": coloured("model", colours),
        "tooltip": [{"field": "model"}, {"field": "referred", "format": ".0%"}, {"field": measure}],
    }
    table = table[["model", "referred", measure]]
    return chart(table, mark={"type": "line", "strokeWidth": 2}, encoding=encoding, height=270)
