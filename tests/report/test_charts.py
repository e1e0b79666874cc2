import re

import altair as alt
import pandas as pd
import vl_convert

from lesions.report import charts


def values_of(spec):
    """Rows of a chart, or of the last layer that has its own."""
    layers = [spec, *spec.get("layer", [])]
    return [layer["data"]["values"] for layer in layers if "data" in layer][-1]


def test_bars_keep_the_order_of_the_table_and_its_empty_values():
    rows = [("male", "nv", 0), ("female", "nv", 3)]
    spec = charts.cohort_bars(
        pd.DataFrame(rows, columns=["value", "dx", "n_images"]), charts.dx_colours(["mel", "nv"])
    )
    assert spec["encoding"]["y"]["scale"]["domain"] == ["male", "female"]
    assert values_of(spec) == [{"value": "female", "dx": "nv", "n_images": 3}]


def test_text_on_a_dark_cell_of_the_matrix_is_legible():
    rows = [("mel", "mel", 3, 0.75), ("mel", "nv", 1, 0.25)]
    table = pd.DataFrame(rows, columns=["dx", "predicted", "n_images", "share"])
    svg = vl_convert.vegalite_to_svg(charts.confusion_matrix(table) | {"width": 300})
    drawn = dict(re.findall(r'fill="var\(--([a-z-]+)\)">([13])</text>', svg))
    assert drawn == {"on-accent": "3", "ink": "1"}


def test_a_score_without_interval_is_a_point_only():
    rows = [{"name": "a", "model": "m", "value": 0.5, "low": None, "high": None}]
    spec = charts.intervals(pd.DataFrame(rows), {"m": "red"}, title="score")
    assert [row["name"] for row in values_of(spec)] == ["a"]
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    assert not re.search(r"mark-rule role-mark[^>]*><line", svg)


def test_the_diagonal_is_below_the_curves_if_asked_for():
    table = pd.DataFrame({"dx": ["nv", "nv"], "precision": [0.5, 1], "recall": [1, 0.5]})
    with_chance, without = (
        charts.threshold_curves(table, "recall", "precision", {"nv": "red"}, chance=chance)["layer"]
        for chance in (True, False)
    )
    assert len(with_chance) == 2
    assert len(without) == 1
    ends = [{"recall": 0, "precision": 0}, {"recall": 1, "precision": 1}]
    assert with_chance[0]["data"]["values"] == ends


def test_epochs_have_whole_ticks():
    for n_epochs in (1, 2, 3, 7):
        table = pd.DataFrame({"model": "m", "partition": "val", "epoch": range(1, n_epochs + 1)})
        spec = charts.learning_curves(table.assign(loss=1.0), "loss", {"m": "red"})
        svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
        x_axis = svg[: svg.index("Y-axis")]
        labels = re.findall(r">([0-9.]+)</text>", x_axis[x_axis.index("role-axis-label") :])
        assert labels
        assert all(float(label).is_integer() for label in labels)


def test_curves_of_train_val_and_test_are_told_apart_by_their_dashes():
    table = pd.DataFrame({"model": "m", "partition": ["train", "val", "test"] * 2})
    table = table.assign(epoch=[1, 1, 1, 2, 2, 2], loss=1.0)
    spec = charts.learning_curves(table, "loss", {"m": "red"})
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    lines = svg[svg.index("mark-line") : svg.index("mark-symbol")]
    assert re.findall(r'stroke-dasharray="([0-9,]+)"', lines) == ["3,3", "1,0", "9,4"]


def test_every_model_keeps_its_colour_and_an_eighth_starts_again():
    colours = charts.model_colours([f"m{i}" for i in range(8)])
    assert len(set(colours.values())) == 7
    assert colours["m7"] == colours["m0"]


def test_a_table_without_rows_has_an_empty_chart():
    empty = pd.DataFrame({"dx": [], "false_positive_rate": [], "sensitivity": []})
    spec = charts.threshold_curves(empty, "false_positive_rate", "sensitivity", {}, chance=True)
    assert "nan" not in vl_convert.vegalite_to_svg(spec | {"width": 300})


def test_the_curve_of_all_malignant_classes_is_dashed_and_that_of_a_class_solid():
    table = pd.DataFrame({"dx": ["malignant"] * 2, "x": [0, 1], "y": [0, 1]})
    of_task, of_class = (
        vl_convert.vegalite_to_svg(
            charts.threshold_curves(table, "x", "y", colours, chance=False) | {"width": 300}
        )
        for colours in ({"mel": "red", "bcc": "blue"}, {"malignant": "red", "benign": "blue"})
    )
    assert 'stroke-dasharray="5,3"' in of_task
    assert 'stroke-dasharray="5,3"' not in of_class


def test_each_of_many_diagnoses_has_a_panel_instead_of_a_colour():
    codes = [f"dx{n}" for n in range(9)]
    assert len(set(charts.dx_colours(codes[:8]).values())) == 8
    colours = charts.dx_colours(codes)
    assert len(set(colours.values())) == 1
    table = pd.DataFrame({"dx": codes * 2, "x": [0.5, 1] * 9, "y": 0.5})
    spec = charts.threshold_curves(table, "x", "y", colours, chance=True)
    svg = vl_convert.vegalite_to_svg(spec)
    assert all(f">{dx}</text>" in svg for dx in codes)


def test_charts_without_any_score_are_left_out():
    nothing = {"value": None, "low": None, "high": None}
    study = {
        "headline": {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in charts.SUMMARY},
        "subgroups": {"sex": {"groups": {"male": {"balanced_accuracy": nothing}}}},
        "leakage": None,
    }
    assert set(charts.interval_charts({"m": {"study": study}}, {"m": "red"})) == {"summary"}


def test_the_bundled_vega_lite_is_the_one_that_altair_writes_for():
    newest = vl_convert.get_vegalite_versions()[-1]
    assert alt.SCHEMA_VERSION.removeprefix("v").startswith(f"{newest}.")
