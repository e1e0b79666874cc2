"""What the report's Vega-Lite charts have in common: colours, scales, the size of the box.

Colours are the CSS variables of the page, so that one chart serves light, dark and print; there are
no legends, because the page writes them as text that wraps.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from lesions.taxonomy import CODES

INK, SOFT, RULE, ACCENT, ON_ACCENT, PANEL = (
    f"var(--{name})" for name in ("ink", "soft", "rule", "accent", "on-accent", "panel")
)
DX_COLOURS = {dx: f"var(--{dx})" for dx in CODES} | {"malignant": INK}
N_COLOURS = 7  # of models, --model-1 to --model-7; then they begin again
DECIMALS = 4  # of what is drawn

CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "domainColor": RULE,
        "tickColor": RULE,
        "gridColor": RULE,
        "gridOpacity": 0.6,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "axisXQuantitative": {"tickCount": 5, "labelOverlap": "greedy"},
}
UNIT = {"domain": [0, 1]}
QUIET_RULE = {"type": "line", "color": SOFT, "strokeDash": [2, 4], "strokeWidth": 1}


def model_colours(models: Sequence[str]) -> dict[str, str]:
    """Give every model the colour that it has in all charts."""
    return {model: f"var(--model-{i % N_COLOURS + 1})" for i, model in enumerate(models)}


def chart(table: pd.DataFrame, *, height: int, **spec) -> dict:
    """Give a specification with its rows, as wide as its box and so many px high."""
    rows = table.round(DECIMALS).astype(object).where(table.notna(), None).to_dict("records")
    size = {"width": "container", "height": height}
    return size | {"autosize": {"type": "fit-x", "contains": "padding"}} | spec | values(rows)


def values(rows: Sequence[Mapping]) -> dict:
    """Give rows as the data of a chart or a layer."""
    return {"data": {"values": rows}}


def coloured(field: str, colours: Mapping[str, str]) -> dict:
    """Give the channel that colours by a field, value to colour."""
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": None}


def number(field: str, title: str, **more) -> dict:
    """Give the channel of a number, `more` of it as Vega-Lite has it."""
    return {"field": field, "type": "quantitative", "title": title, **more}


def diagonal(encoding: Mapping) -> dict:
    """Give the layer from (0, 0) to (1, 1), on the axes of another one."""
    ends = values([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
    axes = {axis: encoding[axis] | {"field": axis} for axis in ("x", "y")}
    return ends | {"mark": QUIET_RULE, "encoding": axes}


def height_of(lines: pd.Series, height: int) -> int:
    """Give the px of a chart with a line for each value; of Vega-Lite's own steps it warns."""
    return height * lines.nunique()


def unique(texts: pd.Series) -> list[str]:
    """Give each value once, in the order of their first appearance."""
    return list(dict.fromkeys(texts))
