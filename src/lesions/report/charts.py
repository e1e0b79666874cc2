"""The report's charts: Vega-Lite specifications, made by Altair.

Every function takes the rows to draw and returns JSON. Colours are CSS variables of the page, so
that one chart serves light, dark and print. The page has the legends, as text that wraps, and the
theme.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import pandas as pd
from pandas.api.types import is_integer_dtype, is_numeric_dtype

from lesions.report.values import key_in_words

INK, SOFT, ACCENT, ON_ACCENT, PANEL = (
    f"var(--{name})" for name in ("ink", "soft", "accent", "on-accent", "panel")
)
N_COLOURS = 7  # --model-1 to --model-7; further models start again
MAX_DX_COLOURS = 8  # --dx-1 to --dx-8; with more diagnoses, each has a panel of its own
DECIMALS = 4  # of what is drawn
UNIT = alt.Scale(domain=[0, 1])
SUMMARY = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "roc_auc_macro": "macro ROC AUC",
}


def model_colours(models: Sequence[str]) -> dict[str, str]:
    """Return the colour of each model, the same in all charts."""
    return {model: f"var(--model-{i % N_COLOURS + 1})" for i, model in enumerate(models)}


def dx_colours(codes: Sequence[str]) -> dict[str, str]:
    """Return the colour of each diagnosis, of which no two are alike to a colour-blind reader.

    With more than `MAX_DX_COLOURS` diagnoses all have one colour, and charts draw them apart.
    """
    if len(codes) > MAX_DX_COLOURS:
        return dict.fromkeys(codes, ACCENT)
    return {dx: f"var(--dx-{i})" for i, dx in enumerate(codes, start=1)}


def cohort_bars(table: pd.DataFrame, colours: Mapping[str, str]) -> dict:
    """Return bars of `n_images` by `value`, in the order of the table, stacked by `dx`."""
    values = table["value"].unique().tolist()
    rows = table.loc[table["n_images"] > 0, ["value", "dx", "n_images"]]
    chart = _chart(rows).mark_bar()
    chart = chart.encode(
        alt.Y("value:N", scale=alt.Scale(domain=values), title=None),
        alt.X("n_images:Q", title="images"),
        _colour("dx", colours),
        alt.Order("order:Q"),
    )
    chart = chart.transform_calculate(order=f"indexof({list(colours)}, datum.dx)")
    return _specify(chart, height=17 * len(values))


def balance_bars(table: pd.DataFrame, colours: Mapping[str, str]) -> dict:
    """Return bars of `n_images` by `dx`, of the `rows` `train` (faint) and `resampled`."""
    steps = ["train", "resampled"]
    opacity = alt.Scale(domain=steps, range=[0.4, 1])
    chart = _chart(table[["dx", "rows", "n_images"]]).mark_bar()
    chart = chart.encode(
        alt.Y("dx:N", sort=list(colours), title=None),
        alt.YOffset("rows:N", sort=steps),
        alt.X("n_images:Q", title="training images"),
        alt.FillOpacity("rows:O", scale=opacity, legend=None),
        _colour("dx", colours),
    )
    return _specify(chart, height=12 * len(table))


def learning_curves(table: pd.DataFrame, measure: str, colours: Mapping[str, str]) -> dict:
    """Return a measure by `epoch` and `model`; a `partition` but `val` is dashed, `test` longer."""
    dashes = alt.Scale(domain=["train", "val", "test"], range=[[3, 3], [1, 0], [9, 4]])
    n_ticks = min(5, max(1, int(table["epoch"].max()) - 1))  # more would be at fractions of epochs
    chart = _chart(table[["model", "partition", "epoch", measure]])
    chart = chart.mark_line(point={"size": 14, "opacity": 1}, strokeWidth=2).encode(
        alt.X("epoch:Q", axis=alt.Axis(tickCount=n_ticks), scale=alt.Scale(zero=False)),
        alt.Y(f"{measure}:Q", scale=UNIT if measure == "accuracy" else alt.Scale(zero=False)),
        alt.StrokeDash("partition:N", scale=dashes, legend=None),
        _colour("model", colours),
    )
    return _specify(chart, height=280)


def threshold_curves(
    table: pd.DataFrame, x: str, y: str, colours: Mapping[str, str], *, chance: bool
) -> dict:
    """Return a curve through the rows of each `dx`; `chance` adds the diagonal.

    With more than `MAX_DX_COLOURS` diagnoses, each has a panel, without the diagonal.
    """
    is_apart, solid = len(colours) > MAX_DX_COLOURS, alt.value([1, 0])
    dashed = alt.condition("datum.dx == 'malignant'", alt.value([5, 3]), solid)
    if "malignant" in colours:  # a class, not the task of all malignant ones
        dashed = solid
    else:
        colours = {**colours, "malignant": INK}
    ticks = {"axis": alt.Axis(tickCount=2)} if is_apart else {}
    axes = _unit(alt.X, x, **ticks), _unit(alt.Y, y, title="PPV" if y == "ppv" else None)
    chart = _chart(table[["dx", x, y]]).mark_line(strokeWidth=1.75, clip=True, order=False)
    chart = chart.encode(*axes, _colour("dx", colours), strokeDash=dashed)
    if is_apart:
        panels = alt.Facet("dx:N", sort=list(colours), title=None)
        return _to_dict(chart.properties(width=90, height=90).facet(panels, columns=3))
    return _specify(alt.layer(*[_diagonal(x, y, axes)] * chance, chart), height=270)


def reliability_diagram(table: pd.DataFrame) -> dict:
    """Return `accuracy` by `confidence` of raw and calibrated `probabilities`, a row a bin."""
    axes = _unit(alt.X, "confidence"), _unit(alt.Y, "accuracy")
    colour = _colour("probabilities", {"raw": SOFT, "calibrated": ACCENT})
    area = alt.Scale(type="sqrt", range=[12, 220])
    base = _chart(table[["probabilities", "n_images", "confidence", "accuracy"]])
    base = base.encode(*axes, colour)
    points = base.mark_point(filled=True, opacity=0.75)
    points = points.encode(alt.Size("n_images:Q", scale=area, legend=None))
    line = base.mark_line(strokeWidth=1.75)
    return _specify(_diagonal("confidence", "accuracy", axes) + line + points, height=270)


def referral_curves(table: pd.DataFrame, measure: str, colours: Mapping[str, str]) -> dict:
    """Return a measure of the remaining images by the share `referred`, a line a `model`."""
    chart = _chart(table[["model", "referred", measure]]).mark_line(strokeWidth=2)
    chart = chart.encode(
        _unit(alt.X, "referred", title="share referred", axis=alt.Axis(format=".0%")),
        _unit(alt.Y, measure, title=f"{key_in_words(measure)} of the rest"),
        _colour("model", colours),
    )
    return _specify(chart, height=270)


def confusion_matrix(table: pd.DataFrame) -> dict:
    """Return `n_images` by `dx` and `predicted`, shaded by their `share` of the `dx`."""
    codes = table["dx"].unique().tolist()
    bare = alt.Axis(ticks=False, domain=False, labelAngle=0)
    shade = alt.Scale(domain=[0, 1], range=[0.05, 1])
    legible = alt.condition("datum.share > 0.55", alt.value(ON_ACCENT), alt.value(INK))
    base = _chart(table[["dx", "predicted", "n_images", "share"]]).encode(
        alt.Y("dx:N", sort=codes, axis=bare, title="diagnosis"),
        alt.X("predicted:N", sort=codes, axis=bare),
    )
    cells = base.mark_rect(fill=ACCENT, stroke=PANEL, strokeWidth=2)
    cells = cells.encode(alt.FillOpacity("share:Q", scale=shade, legend=None))
    numbers = base.transform_filter("datum.n_images > 0").mark_text(fontSize=11)
    numbers = numbers.encode(alt.Text("n_images:Q", format=","), color=legible)
    return _specify(cells + numbers, height=max(300, 30 * len(codes)))


def interval_charts(
    details: Mapping[str, Mapping[str, Mapping]], colours: Mapping[str, str]
) -> dict[str, dict]:
    """Return `intervals` of the scores in the details of all models (model to set to details).

    The names of the charts are `summary`, `subgroups-<column>` and `leakage`, of a model's first
    set, and `external`, of all sets; one without any score is left out.
    """
    rows = pd.DataFrame(
        [
            {"chart": chart, "name": name, "model": model, **score}
            for model, sets in details.items()
            for chart, name, score in _list_scores(sets)
        ]
    )
    return {
        chart: intervals(
            scores, colours, title="score" if chart == "summary" else "balanced accuracy"
        )
        for chart, scores in rows[rows["value"].notna()].groupby("chart")
    }


def intervals(rows: pd.DataFrame, colours: Mapping[str, str], *, title: str) -> dict:
    """Return points on their confidence intervals, a line a `name` and `model`.

    Rows have `value`, `low` and `high`; a missing interval is not drawn. The x axis has the title,
    and spans 0 to 1.
    """
    rows = rows[["name", "model", "value", "low", "high"]]
    names, several = rows["name"].unique().tolist(), bool(rows.duplicated("name").any())
    axis = alt.Axis(labelLimit=150, grid=several, tickBand="extent")
    base = _chart(rows).encode(
        alt.Y("name:N", sort=names, title=None, axis=axis), _colour("model", colours)
    )
    if several:
        base = base.encode(alt.YOffset("model:N", sort=list(colours)))
    rules = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2.5, opacity=0.55)
    rules = rules.encode(_unit(alt.X, "low", title=title), alt.X2("high:Q"))
    points = base.mark_point(filled=True, size=55, opacity=1)
    points = points.encode(_unit(alt.X, "value", title=title))
    height = (10 + 13 * rows["model"].nunique()) * len(names)
    return _specify(rules + points, height=height)


def _list_scores(sets: Mapping[str, Mapping]) -> Iterator[tuple[str, str, Mapping]]:
    """Yield chart, name and estimate of all of a model's scores that `interval_charts` shows."""
    main = next(iter(sets.values()))
    for measure, name in SUMMARY.items():
        yield "summary", name, main["headline"][measure]
    for column, found in main["subgroups"].items():
        for name, scores in found["groups"].items():
            yield f"subgroups-{column}", name, scores["balanced_accuracy"]
    for unit, sides in (main["leakage"] or {}).items():
        for side, name in (("in_training", "in train"), ("not_in_training", "not in train")):
            if sides[side] and not sides[side].get("too_small"):
                yield "leakage", f"{unit} {name}", sides[side]["balanced_accuracy"]
    for name, details in sets.items():
        if len(sets) > 1:
            yield "external", name, details["headline"]["balanced_accuracy"]


def _chart(rows):
    """Return a chart of rows, all columns of which are in its tooltips."""
    tooltips = [
        alt.Tooltip(
            f"{name}:{'Q' if is_numeric_dtype(column) else 'N'}",
            title=key_in_words(name),
            format="," if is_integer_dtype(column) else "",
        )
        for name, column in rows.items()
    ]
    rows = rows.round(DECIMALS).astype(object).where(rows.notna(), None)
    # Inline, since Altair refuses tables of more than 5,000 rows.
    data = alt.InlineData(values=rows.to_dict("records"))
    return alt.Chart(data).encode(tooltip=tooltips)


def _specify(chart, *, height):
    """Return a chart of a height in px, as wide as its box, as JSON."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return _to_dict(chart.properties(width="container", height=height, autosize=fit))


def _to_dict(chart):
    """Return a chart as JSON."""
    with alt.data_transformers.enable(consolidate_datasets=False), alt.theme.enable("none"):
        return chart.to_dict()


def _colour(field, colours):
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(f"{field}:N", scale=scale, legend=None)


def _unit(channel, field, *, title=None, **options):
    """Return an axis from 0 to 1."""
    return channel(f"{field}:Q", scale=UNIT, title=title or key_in_words(field), **options)


def _diagonal(x, y, axes):
    """Return a dotted line from (0, 0) to (1, 1) on the axes of another chart."""
    ends = _chart(pd.DataFrame({x: [0, 1], y: [0, 1]}))
    return ends.mark_line(color=SOFT, strokeDash=[2, 4], strokeWidth=1).encode(*axes)
