"""The templates of `dvc plots`, and the page that it fills."""

import json
import re

import pytest
import vl_convert
import yaml
from cloned import ROOT
from dvc_render import VegaRenderer
from made_up import CODES

TEMPLATES = sorted((ROOT / ".dvc" / "plots").glob("*.json"))
each_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)


def values_of(node, key):
    """All values of a key anywhere in a JSON tree."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [node[key]] if isinstance(node, dict) and key in node else []
    return own + [value for child in children for value in values_of(child, key)]


def test_dvc_yaml_names_all_of_these_templates_and_no_other():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert {path.stem for path in TEMPLATES} == set(values_of(pipeline, "template"))


@each_template
def test_a_template_has_the_anchors_without_which_it_shows_nothing(path):
    template = json.loads(path.read_text(encoding="utf-8"))
    assert values_of(template, "values") == ["<DVC_METRIC_DATA>"]
    fields = values_of(template, "field")
    assert "<DVC_METRIC_X>" in fields
    assert "<DVC_METRIC_Y>" in fields
    assert "rev" in json.dumps(template), "'dvc plots diff' must tell revisions apart"


@each_template
def test_no_template_lists_diagnoses(path):
    assert not [dx for dx in CODES if f'"{dx}"' in path.read_text(encoding="utf-8")]


@each_template
def test_dvc_fills_every_anchor_of_a_template(path):
    rows = [{"rev": rev, "a": "nv", "b": "1", "filename": "f", "field": "b"} for rev in ("x", "y")]
    renderer = VegaRenderer(
        rows, "plot", template=path.stem, template_dir=str(path.parent), x="a", y="b", title="t"
    )
    filled = renderer.get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled)
    assert filled["data"]["values"] == rows


def test_curves_of_test_images_say_that_nothing_was_chosen_by_them():
    rows = [
        {"rev": "workspace", "model": "cnn", "partition": partition, "epoch": epoch, "loss": 1}
        for partition in ("train", "test")
        for epoch in (1, 2)
    ]
    folder = str(ROOT / ".dvc/plots")
    renderer = VegaRenderer(
        rows, "plot", template="curves", template_dir=folder, x="epoch", y="loss"
    )
    svg = vl_convert.vegalite_to_svg(renderer.get_filled_template())
    texts = re.findall(r">([^<>]+)</t(?:ext|span)>", svg)
    assert "test images, watched during training" in texts
    assert "nothing was chosen by them" in texts
    assert "train" in texts


def test_each_confusion_matrix_is_below_its_own_name_though_one_revision_lacks_a_model():
    path = ROOT / ".dvc/plots/confusion.json"
    models = {"workspace": ("cnn", "new", "vgg16"), "HEAD": ("cnn", "vgg16")}
    names = [(model, rev) for rev, known in models.items() for model in known]
    rows = [
        {"rev": rev, "model": model, "set": "study", "dx": "mel", "predicted": "mel", "share": 0.1}
        | {"n_images": 100 + number, "filename": "f", "field": "dx"}
        for number, (model, rev) in enumerate(names)
    ]
    renderer = VegaRenderer(
        rows, "plot", template="confusion", template_dir=str(path.parent), x="predicted", y="dx"
    )
    svg = vl_convert.vegalite_to_svg(renderer.get_filled_template())
    texts = re.findall(r">((?:cnn|new|vgg16), \w+|10\d)</text>", svg)
    headers = [text for text in texts if "," in text]
    assert headers == [f"{model}, {rev}" for model, rev in names]
    assert [text for text in texts if "," not in text] == [str(100 + n) for n in range(5)]
