import base64
import copy
import hashlib
import json
import re
import runpy
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import vl_convert
import yaml
from cloned import ROOT
from made_up_study import draw_page, make_picture, make_settings, make_study, write_study

from lesions.evaluation.images.choice import NO_TEST_IMAGES, ONLY_TESTED_ON
from lesions.evaluation.subgroups import SUBGROUPS
from lesions.report.captions import DISCLAIMER
from lesions.report.page import as_data_uri

SECTIONS = [
    "summary",
    "cohort",
    "methods",
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
    """Elements of a page with their attributes, its words, scripts and styles."""

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
        boxes = [attrs for _, attrs in self.elements if "data-chart" in attrs]
        return {a["id"].removeprefix("chart-"): json.loads(a["data-chart"]) for a in boxes}

    def all(self, tag, attribute):
        return [
            attrs[attribute]
            for name, attrs in self.elements
            if attribute in attrs and tag in (name, "*")
        ]


@pytest.fixture(scope="module")
def inputs():
    return make_study(external=("elsewhere",))


@pytest.fixture(scope="module")
def html(inputs):
    return draw_page(inputs)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_section_is_there_in_order_and_in_the_contents(page):
    assert page.all("section", "id") == SECTIONS
    assert page.all("a", "href") == [f"#{name}" for name in SECTIONS]


def test_a_model_that_predicts_one_diagnosis_only_is_marked(inputs, page):
    assert "predicts only" not in page.words
    inputs = copy.deepcopy(inputs)
    inputs["details"]["vgg16"]["study"]["only_predicted"] = "df"
    words = Page(draw_page(inputs)).words
    assert "vgg16 (predicts only df)" in words
    assert "cnn (predicts" not in words


def test_a_model_that_reads_metadata_is_named(inputs, page):
    assert "reads metadata" not in page.words
    models = make_settings()["models"]
    models["cnn"]["metadata"] = ["age", "localization"]
    words = Page(draw_page(inputs, models=models)).words
    assert "cnn also reads metadata: age and localization. It also predicts where they" in words
    assert "vgg16 also" not in words


def test_an_ensemble_is_described_and_has_no_learning_curve():
    page = draw_page(make_study(models=("cnn", "both")))
    assert page.count("</i>both</li>") == page.count("</i>cnn</li>") - 1  # the learning curves' key
    assert (
        "both is an ensemble, the weighted mean of the probabilities of cnn (0.25) and vgg16 (0.75)"
    ) in page


def test_nothing_is_fetched(html, page):
    named = [*page.all("*", "src"), *page.all("link", "href")]
    assert all(value.startswith("data:") for value in named)
    style = "".join(page.texts["style"])
    assert "url(" not in style
    assert "@import" not in style
    # The browser enforces it even if the above missed something.
    assert "default-src 'none'" in html


def test_every_chart_is_there_and_every_id_occurs_once(page):
    ids = page.all("*", "id")
    assert len(set(ids)) == len(ids)
    # Four of the cohort, over-sampling, two learning, two referral, four of each model; intervals:
    # summary, four columns of subgroups, leakage, external.
    assert len(page.charts) == 4 + 1 + 2 + 2 + 4 * 2 + 1 + 4 + 1 + 1


def test_every_chart_and_picture_is_described(page):
    described = [a for _, a in page.elements if a.get("role") == "img"]
    assert all(len(attrs["aria-label"]) > 20 for attrs in described)
    assert len(described) == len(page.charts)
    assert all(len(alt) > 20 for alt in page.all("img", "alt"))
    # The contact sheet, the near-duplicates, the mistakes of two models.
    assert len(page.all("img", "alt")) == 4


def test_every_chart_draws_marks(page):
    for name, spec in page.charts.items():
        svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
        marks = re.findall(r'class="mark-(?:rect|symbol|line)[^>]*>\s*<path', svg)
        assert marks, f"{name} is empty"


def test_the_same_inputs_give_the_same_page(inputs, html):
    assert draw_page(inputs) == html


def test_texts_of_the_data_stay_texts():
    hostile = "</script><script>alert(1)</script><b>x"
    inputs = make_study()
    inputs["cohort"]["value"] = inputs["cohort"]["value"].replace("back", hostile)
    for sets in inputs["details"].values():
        found = sets["study"]["subgroups"]["localization"]["groups"]
        found[hostile] = found.pop("back")
        sets["study"]["calibration"]["says"] = hostile
    harmless, page = Page(draw_page(make_study())), Page(draw_page(inputs))
    count = [[tag for tag, _ in p.elements].count("script") for p in (harmless, page)]
    # The library and the page's own.
    assert count == [2, 2]
    assert [tag for tag, _ in page.elements].count("b") == [
        tag for tag, _ in harmless.elements
    ].count("b")
    values = page.charts["cohort-localization"]["data"]["values"]
    assert hostile in {row["value"] for row in values}


def test_scores_have_their_intervals():
    inputs = make_study()
    headline = inputs["details"]["cnn"]["study"]["headline"]
    headline["accuracy"] = {"value": 0.87654, "low": 0.8, "high": 0.9}
    headline["matthews"] = {"value": -0.1, "low": -0.2, "high": 0.05}
    headline["brier"] = {"value": None, "low": None, "high": None}
    words = Page(draw_page(inputs)).words
    assert "0.877 0.800–0.900" in words
    assert "−0.100 −0.200 to 0.050" in words
    assert "−0.200 to 0.050 – " in words


def test_published_scores_are_beside_the_measured_ones(page):
    assert "cnn, published 0.720 – –" in page.words


def test_clear_differences_are_listed_and_inconclusive_ones_too():
    inputs = make_study()
    better = {"difference": 0.2, "low": 0.1, "high": 0.3, "real": True}
    worse = {"difference": -0.2, "low": -0.3, "high": -0.1, "real": True}
    inconclusive = {"difference": 0.01, "low": -0.1, "high": 0.1, "real": False}
    inputs["differences"]["pairs"][0]["measures"] = {
        "accuracy": better,
        "f1_macro": better,
        "roc_auc_macro": worse,
        "balanced_accuracy": inconclusive,
    }
    words = Page(draw_page(inputs)).words
    assert "cnn is better than vgg16 in accuracy and macro F1." in words
    assert "vgg16 is better than cnn in macro ROC AUC." in words
    assert "Inconclusive: balanced accuracy." in words


def test_a_single_model_has_nothing_to_differ_from():
    words = Page(draw_page(make_study(models=("cnn",)))).words
    assert "How well does this model classify" in words
    assert "Differences between" not in words


def test_the_page_has_the_disclaimer_and_the_caveat(page):
    assert page.words.count(DISCLAIMER) == 2
    assert "Synthetic demonstration data" in page.words


def test_real_data_have_no_caveat_of_synthetic_ones(inputs):
    sets = make_settings(external=("elsewhere",))["sets"]
    sets["study"]["source"] = sets["elsewhere"]["source"]
    assert "Synthetic" not in Page(draw_page(inputs, sets=sets)).words


def test_a_split_by_a_column_has_no_sizes(inputs):
    sets = make_settings(external=("elsewhere",))["sets"]
    sets["study"]["split"] = {"by": "column", "column": "partition_c"}
    assert "The metadata column `partition_c` assigns" in Page(draw_page(inputs, sets=sets)).words


def test_a_study_without_calibration_images_says_so():
    page = Page(draw_page(make_study(calibrated=False)))
    assert "Not calibrated" in page.words
    assert "cnn: no prediction sets, not calibrated" in page.words
    drawn = page.charts["reliability-cnn"]["layer"][1]
    assert drawn["encoding"]["color"]["field"] == "probabilities"
    rows = page.charts["reliability-cnn"]["layer"][1]["data"]["values"]
    assert {row["probabilities"] for row in rows} == {"raw"}


def test_a_temperature_of_validation_images_is_on_the_page():
    study = make_study(partitions=("train", "val", "test"), fitted_on="val")
    calibrate = make_settings()["calibrate"] | {"partition": "val"}
    words = Page(draw_page(study, calibrate=calibrate)).words
    assert (
        "No photographs were set aside for calibration. The temperature was fitted on the" in words
    )
    assert "cnn: no prediction sets, which need calibration images." in words


def test_a_study_without_leakage_or_external_sets_says_so():
    page = Page(draw_page(make_study(leaks=False)))
    assert "No leak is known" in page.words
    assert "No test photograph belongs to a lesion that also has training" in page.words
    assert page.all("section", "id") == [name for name in SECTIONS if name != "external"]


def test_leaking_photographs_are_counted(inputs, page):
    test = inputs["partitions"][inputs["partitions"]["partition"] == "test"]
    n_leaked, n_test = test["n_images_of_train_lesions"].sum(), test["n_images"].sum()
    assert n_leaked > 0
    text = f"{n_leaked} of the {n_test} test photographs belong to a lesion that also has training"
    assert text in page.words
    assert "No leak is known" not in page.words


def test_groups_too_small_are_named(inputs, page):
    small = inputs["details"]["cnn"]["study"]["subgroups"]["localization"]["too_small"]
    (n_images,) = small.values()
    assert f"acral ({n_images} image" in page.words


def test_a_set_of_which_no_group_is_known_has_a_sentence_for_the_charts():
    inputs = make_study()
    page = Page(draw_page(inputs))
    for sets in inputs["details"].values():
        for found in sets["study"]["subgroups"].values():
            found |= {"groups": {}, "too_small": {}, "worst": None}
    without = Page(draw_page(inputs))
    assert "No group is scored:" in without.words
    missing = set(page.charts) - set(without.charts)
    assert missing == {f"subgroups-{column}" for column in SUBGROUPS}
    assert "No group is scored:" not in page.words


def test_without_validation_images_no_line_of_the_learning_curves_is_theirs():
    inputs = make_study()
    for name, line in (("train", "training"), ("val", "training validation")):
        inputs["partitions"].loc[0, "partition"] = name
        words = Page(draw_page(inputs)).words
        assert f"cnn vgg16 {line} Accuracy" in words
        assert ("There are no validation images" in words) == (name == "train")


def test_settings_hashes_versions_and_audit_are_shown(page):
    assert "keep_epoch: val_loss" in page.words
    assert "frozen VGG16: weights random; input pixels 32" in page.words
    assert "a.csv f00d" in page.words
    assert "images 480" in page.words
    assert "sensitivity 0.875" in page.words
    for package in ("tensorflow", "dvc"):
        assert re.search(rf"{package} \d+\.\d+", page.words)


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
def test_a_picture_that_cannot_be_decoded_is_refused(broken):
    with pytest.raises(ValueError, match=rf"cannot be decoded \({len(broken)} bytes\)"):
        as_data_uri(broken)


def test_the_stage_writes_the_page(tmp_path, monkeypatch):
    flags = write_study(tmp_path, make_study(external=("elsewhere",)))
    del flags["labels"]
    settings = yaml.safe_dump(make_settings(external=("elsewhere",)))
    (tmp_path / "params.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the stage sets its own
    flags |= {"template": ROOT / "templates" / "report.html.j2", "report": "plots/report.html"}
    argv = [text for name, file in flags.items() for text in (f"--{name}", str(file))]
    argv = [text.replace("_", "-") if text.startswith("--") else text for text in argv]
    monkeypatch.setattr(sys, "argv", ["report.py", *argv])
    runpy.run_path(str(ROOT / "stages" / "report.py"), run_name="__main__")

    page = Page(Path("plots/report.html").read_text(encoding="utf-8"))
    assert page.all("section", "id") == SECTIONS
    for file in ("predictions/study/cnn.csv", "predictions/elsewhere/vgg16.csv"):
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        assert f"{file} {digest}" in page.words


def test_a_side_of_the_leakage_that_is_too_small_is_counted_and_not_scored():
    study = make_study()
    small = {"n_images": 7, "n_lesions": 6, "too_small": True}
    for sets in study["details"].values():
        sets["study"]["leakage"]["lesion"]["in_training"] = small
    page = Page(draw_page(study))
    assert "too few to score" in page.words
    shown = {row["name"] for row in page.charts["leakage"]["data"]["values"]}
    assert "lesion in train" not in shown
    assert "lesion not in train" in shown


def test_a_study_without_leakage_columns_has_a_page():
    study = make_study()
    for sets in study["details"].values():
        sets["study"]["leakage"] = None
    page = Page(draw_page(study))
    assert "No leak is known" in page.words
    assert "leakage" not in page.charts


@pytest.mark.parametrize(("tta", "words"), [("none", "once, as it is"), ("dihedral", "of 8 views")])
def test_the_page_says_what_a_prediction_is_of(inputs, tta, words):
    assert words in Page(draw_page(inputs, predict={"tta": tta})).words


NEVER = re.compile(r"(?<!no )test (image|photograph)", re.IGNORECASE)  # "no test image was scored"


@pytest.fixture(scope="module")
def chosen_on():
    """A study with test images and an external set whose settings are being chosen."""
    partitions = ("train", "val", "cal", "test")
    return make_study(external=("elsewhere",), partitions=partitions, partition="val")


def test_while_settings_are_chosen_the_page_is_of_validation_images_alone(chosen_on):
    page = Page(draw_page(chosen_on))
    captions = " ".join(page.all("div", "aria-label"))
    # What is true at all times: no setting and no epoch is selected on them.
    assert not NEVER.search(page.words.replace("no setting and no epoch on the test images", ""))
    assert not NEVER.search(captions)
    val = chosen_on["partitions"].query("partition == 'val'")["n_images"].sum()
    assert f"{val} validation photographs of" in page.words
    assert "Scores on the validation images" in page.words
    assert "optimistic, and no test image was scored." in page.words
    assert f"elsewhere. {ONLY_TESTED_ON}" in page.words
    assert "external" not in page.charts
    assert "published" not in page.words
    shown = page.charts["confusion-cnn"]["data"]["values"]
    assert sum(row["n_images"] for row in shown) == val


def test_a_study_without_test_images_has_a_page_of_the_set_that_is_tested_on():
    study = make_study(external=("isic2018",), partitions=("train", "val", "cal"))
    page = Page(draw_page(study))
    n_images = study["details"]["cnn"]["isic2018"]["n_images"]
    assert study["details"]["cnn"]["study"]["partition"] is None
    assert f"{n_images} test photographs of isic2018" in page.words
    assert f"study was not{NO_TEST_IMAGES[3:]}" in page.words
    assert "Scores on the test images of isic2018" in page.words
    assert "The study itself was not scored." in page.words
    shown = page.charts["confusion-cnn"]["data"]["values"]
    assert sum(row["n_images"] for row in shown) == n_images
    assert "leakage" not in page.charts


def test_both_decision_rules_are_on_the_page():
    partitions = ("train", "val", "cal", "test")
    study = make_study(partitions=partitions, rule="prior_adjusted", external=("elsewhere",))
    page = Page(draw_page(study))
    decision = study["details"]["vgg16"]["study"]["decision"]
    assert decision["exponent"] > 0
    shown = f"vgg16 prior-adjusted {decision['exponent']:.2f} {decision['accuracy']['value']:.3f}"
    assert shown in page.words
    assert "a power that was chosen on validation images." in page.words
    assert "balanced accuracy, prior-adjusted" in page.words


def test_the_plain_rule_has_no_section_of_its_own(page):
    assert "Decision rule" not in page.words
    assert "prior-adjusted" not in page.words
