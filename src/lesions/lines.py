"""The report's charts of lines: one measure over another.

Every function gives a dict, ready for JSON, see `lesions.vega`.
"""

from collections.abc import Mapping

import pandas as pd

from lesions.vega import ACCENT, DX_COLOURS, SOFT, UNIT, chart, coloured, diagonal, number


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
