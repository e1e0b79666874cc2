import base64
import copy
import hashlib
import importlib.util
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import vl_convert
from made_up_study import make_picture, make_study, write_study

from lesions.panels import draw
from lesions.params import read_params
from lesions.report import as_data_uri, read, render
from lesions.taxonomy import NOT_A_MEDICAL_DEVICE
from lesions.vega import CONFIG, model_colours

ROOT = Path(__file__).parents[1]
TEMPLATE = (ROOT / "templates" / "report.html.j2").read_text(encoding="utf-8")
SECTIONS = [
    "in-short",
    "cohort",
    "protocol",
    "learning",
    "confusion",
    "curves",
    "calibration",
    "referral",
    "subgroups",
    "leakage",
    "near-duplicates",
    "mistakes",
    "external",
    "provenance",
]


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, its words, its scripts and styles."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.texts, self._open = [], {}, []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "words", []).append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts["words"]))

    @property
    def charts(self) -> dict:
        return json.loads(self.texts["script"][0])["charts"]

    def all(self, tag, attribute):
        return [
            attrs[attribute]
            for name, attrs in self.elements
            if attribute in attrs and tag in (name, "*")
        ]


def settings(**changes):
    return read_params(ROOT / "params.yaml").model_dump() | changes


def draw_page(inputs, **changes):
    two = {model: settings()["models"][model] for model in inputs["details"]}
    return render(
        TEMPLATE, inputs, settings=settings(models=two, **changes), fingerprints={"a.csv": "f00d"}
    )


@pytest.fixture(scope="module")
def inputs():
    return make_study(external=("elsewhere",))[0]


@pytest.fixture(scope="module")
def html(inputs):
    return draw_page(inputs)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_section_is_there_in_order_and_in_the_contents(page):
    assert page.all("section", "id") == SECTIONS
    assert page.all("a", "href") == [f"#{name}" for name in SECTIONS]


def test_a_model_that_predicts_one_diagnosis_alone_is_said_to(inputs, page):
    assert "predicts only" not in page.words
    inputs = copy.deepcopy(inputs)
    matrix = inputs["details"]["vgg16"]["confusion"]
    for dx, row in matrix.items():
        matrix[dx] = dict.fromkeys(row, 0) | {"df": sum(row.values())}
    words = Page(draw_page(inputs)).words
    assert "vgg16 (predicts only df)" in words
    assert "cnn (predicts" not in words


def test_nothing_is_fetched(html, page):
    named = [*page.all("*", "src"), *page.all("link", "href")]
    assert all(value.startswith("data:") for value in named)
    style = "".join(page.texts["style"])
    assert "url(" not in style
    assert "@import" not in style
    # The browser holds to it even if a word of the above were forgotten.
    assert "default-src 'none'" in html


def test_every_chart_has_its_place_and_every_place_its_chart(page):
    places = page.all("div", "data-chart")
    assert len(set(places)) == len(places)
    assert set(places) == set(page.charts)
    # Four of the cohort, over-sampling, two learning, two referral, four of each model; intervals:
    # in short, four columns of subgroups less none, leakage, external.
    assert len(places) == 4 + 1 + 2 + 2 + 4 * 2 + 1 + 4 + 1 + 1


def test_every_chart_and_picture_is_described(page):
    described = [a for _, a in page.elements if a.get("role") == "img"]
    assert all(len(attrs["aria-label"]) > 20 for attrs in described)
    assert len(described) == len(page.charts)
    assert all(len(alt) > 20 for alt in page.all("img", "alt"))
    # The contact sheet, the near-duplicates, the mistakes of two models.
    assert len(page.all("img", "alt")) == 4


def test_every_chart_draws_marks(inputs):
    colours = model_colours(list(inputs["details"]))
    for name, spec in draw(inputs, colours).items():
        svg = vl_convert.vegalite_to_svg(spec | {"width": 300, "config": CONFIG})
        drawn = re.findall(r'class="mark-(?:rect|symbol|line)[^>]*>\s*<path', svg)
        assert drawn, f"{name} is empty"


def test_the_same_inputs_give_the_same_page(inputs, html):
    assert draw_page(inputs) == html


def test_texts_of_the_data_stay_texts():
    hostile = "</script><script>alert(1)</script><b>x"
    inputs = make_study()[0]
    by_place = inputs["cohort"]["localization_by_dx"].replace("back", hostile)
    inputs["cohort"]["localization_by_dx"] = by_place
    for details in inputs["details"].values():
        found = details["subgroups"]["localization"]["groups"]
        found[hostile] = found.pop("back")
        details["calibration"]["says"] = hostile
    harmless, page = Page(draw_page(make_study()[0])), Page(draw_page(inputs))
    count = [[tag for tag, _ in p.elements].count("script") for p in (harmless, page)]
    # The charts' data, the library, the page's own.
    assert count == [3, 3]
    assert [tag for tag, _ in page.elements].count("b") == [
        tag for tag, _ in harmless.elements
    ].count("b")
    values = page.charts["cohort-localization_by_dx"]["data"]["values"]
    assert hostile in {row["localization"] for row in values}


def test_scores_stand_with_their_intervals():
    inputs = make_study()[0]
    inputs["details"]["cnn"]["headline"]["accuracy"] = {"value": 0.87654, "low": 0.8, "high": 0.9}
    inputs["details"]["cnn"]["headline"]["matthews"] = {"value": -0.1, "low": -0.2, "high": 0.05}
    inputs["details"]["cnn"]["headline"]["brier"] = {"value": None, "low": None, "high": None}
    words = Page(draw_page(inputs)).words
    assert "0.877 0.800–0.900" in words
    assert "−0.100 −0.200 to 0.050" in words
    assert "−0.200 to 0.050 – " in words


def test_published_scores_stand_beside_the_measured_ones(page):
    assert "cnn, published 0.720 – –" in page.words


def test_real_differences_are_said_and_others_too():
    inputs = make_study()[0]
    real = {"difference": 0.2, "low": 0.1, "high": 0.3, "real": True}
    worse = {"difference": -0.2, "low": -0.3, "high": -0.1, "real": True}
    unclear = {"difference": 0.01, "low": -0.1, "high": 0.1, "real": False}
    inputs["differences"]["pairs"][0]["measures"] = {
        "accuracy": real,
        "f1_macro": real,
        "roc_auc_macro": worse,
        "balanced_accuracy": unclear,
    }
    words = Page(draw_page(inputs)).words
    assert "cnn is better than vgg16 in accuracy and macro F1." in words
    assert "vgg16 is better than cnn in macro ROC AUC." in words
    assert "In balanced accuracy they can’t be told apart." in words


def test_a_single_model_has_nothing_to_differ_from():
    words = Page(draw_page(make_study(models=("cnn",))[0])).words
    assert "How well does this model name" in words
    assert "Which differences" not in words


def test_the_page_says_what_it_is_not(page):
    assert page.words.count(NOT_A_MEDICAL_DEVICE) == 2
    assert "Synthetic demonstration data" in page.words


def test_real_data_carry_no_caveat_of_synthetic_ones(inputs):
    data = settings()["data"] | {"source": "folder"}
    assert "Synthetic" not in Page(draw_page(inputs, data=data)).words


def test_a_study_without_calibration_images_says_so():
    page = Page(draw_page(make_study(calibrated=False)[0]))
    assert "Not calibrated" in page.words
    assert "cnn: no prediction sets, not calibrated" in page.words
    drawn = page.charts["reliability-cnn"]["layer"][1]["encoding"]["color"]["field"]
    rows = page.charts["reliability-cnn"]["data"]["values"]
    assert {row[drawn] for row in rows} == {"raw"}


def test_a_study_without_leakage_or_external_sets_says_so():
    page = Page(draw_page(make_study(leaks=False)[0]))
    assert "No leak is known" in page.words
    assert "No test photograph belongs to a lesion that is in the training part." in page.words
    assert page.all("section", "id") == [name for name in SECTIONS if name != "external"]


def test_leaking_photographs_are_counted(inputs, page):
    shared, n_test = (
        inputs["split"][name] for name in ("n_test_sharing_a_lesion_with_train", "n_test")
    )
    assert shared > 0
    text = f"{shared} of the {n_test} test photographs belong to a lesion that is also in"
    assert text in page.words
    assert "No leak is known" not in page.words


def test_groups_too_small_are_named(inputs, page):
    small = inputs["details"]["cnn"]["subgroups"]["localization"]["too_small"]
    (n_images,) = small.values()
    assert f"acral ({n_images} image" in page.words


def test_settings_hashes_versions_and_audit_are_shown(page):
    assert "keep_epoch: val_loss" in page.words
    assert "a.csv f00d" in page.words
    assert "images 480" in page.words
    assert "recall 0.875" in page.words
    assert "rotations 0, 90" in page.words
    for package in ("tensorflow", "dvc"):
        assert re.search(rf"{package} \d+\.\d+", page.words)


def test_every_model_keeps_its_colour_and_an_eighth_begins_again():
    colours = model_colours([f"m{i}" for i in range(8)])
    assert len(set(colours.values())) == 7
    assert colours["m7"] == colours["m0"]


def test_every_colour_of_the_charts_is_one_of_the_page(html):
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", html))
    for scheme in re.findall(r":root \{(.*?)\}", html, re.DOTALL):
        assert used <= set(re.findall(r"(--[a-z0-9-]+):", scheme))


def test_wide_pictures_shrink_in_proportion():
    picture = as_data_uri(make_picture("x", width=1800))
    # 1800 x 900, to 1600.
    assert (picture["width"], picture["height"]) == (1600, 800)
    kind, text = picture["uri"].split(",")
    assert kind == "data:image/webp;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (800, 1600, 3)


@pytest.mark.parametrize("broken", [b"", b"no picture"])
def test_what_is_no_picture_is_refused(broken):
    with pytest.raises(ValueError, match=f"found {len(broken)} bytes"):
        as_data_uri(broken)


def test_words_of_a_csv_stay_words_and_empty_fields_are_missing(tmp_path):
    (tmp_path / "x.csv").write_text("sex,n\nNA,1\n,2\n", encoding="utf-8")
    assert read(tmp_path / "x.csv")["sex"].fillna("empty").tolist() == ["NA", "empty"]


def test_the_stage_writes_the_page(tmp_path, monkeypatch):
    inputs, tables = make_study(external=("elsewhere",))
    flags = write_study(tmp_path, inputs, tables)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("external: {}", "external: {elsewhere: data/elsewhere}")
    a, b = params.index("  resnet50:"), params.index("calibrate:")
    (tmp_path / "params.yaml").write_text(params[:a] + params[b:], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    template = str(ROOT / "templates" / "report.html.j2")
    flags += ["--template", template, "--report", "plots/report.html"]
    monkeypatch.setattr(sys, "argv", ["report.py", *flags])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the stage sets its own
    spec = importlib.util.spec_from_file_location("report_stage", ROOT / "stages" / "report.py")
    stage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stage)
    stage.main()

    page = Page(Path("plots/report.html").read_text(encoding="utf-8"))
    assert page.all("section", "id") == SECTIONS
    for file in ("labels.csv", "groups.csv", "predictions/cnn.csv", "predictions/vgg16.csv"):
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        assert f"{file} {digest}" in page.words


def test_a_side_of_the_leakage_that_is_too_small_is_counted_and_not_scored():
    study = copy.deepcopy(make_study()[0])
    small = {"n_images": 7, "n_lesions": 6, "too_small": True}
    for details in study["details"].values():
        details["leakage"]["lesion"]["in_training"] = small
    page = Page(draw_page(study))
    assert "too few to score" in page.words
    shown = {row["name"] for row in page.charts["leakage"]["data"]["values"]}
    assert "lesion seen" not in shown
    assert "lesion not seen" in shown
