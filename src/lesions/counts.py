"""The report's charts of how many images: bars, and the confusion matrix.

Every function gives a dict, ready for JSON, see `lesions.vega`.
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
    UNIT,
    chart,
    coloured,
    height_of,
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


def confusion_matrix(counts: Mapping[str, Mapping[str, int]]) -> dict:
    """Draw who is taken for whom: numbers of images, shaded by their share of the row.

    Parameters
    ----------
    counts
        `dx` to predicted `dx` to the number of images.
    """
    axis = {"type": "nominal", "sort": list(CODES)}
    bare = {"ticks": False, "domain": False}
    encoding = {
        "y": axis | {"field": "diagnosis", "axis": bare},
        "x": axis | {"field": "predicted", "axis": bare | {"labelAngle": 0}},
        "tooltip": [
            {"field": "diagnosis"},
            {"field": "predicted"},
            {"field": "images", "format": ","},
            {"field": "share", "format": ".1%", "title": "share of the diagnosis"},
        ],
    }
    return chart(_shares(counts), layer=_shaded_numbers(), encoding=encoding, height=300)


def _shares(counts):
    """Give a row for each field of the matrix, with its share of the diagnosis."""
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
    return pd.DataFrame(rows)


def _shaded_numbers():
    """Give the layers of the matrix: fields as dark as their share, and on them the numbers."""
    opacity = {"field": "share", "type": "quantitative", "legend": None}
    opacity["scale"] = UNIT | {"range": [0.05, 1]}
    legible = {"condition": {"test": "datum.share > 0.55", "value": ON_ACCENT}, "value": INK}
    return [
        {
            "mark": {"type": "rect", "fill": ACCENT, "stroke": PANEL, "strokeWidth": 2},
            "encoding": {"fillOpacity": opacity},
        },
        {
            "transform": [{"filter": "datum.images > 0"}],
            "mark": {"type": "text", "fontSize": 11},
            "encoding": {"text": {"field": "images", "format": ","}, "color": legible},
        },
    ]
