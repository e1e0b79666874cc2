"""The page in a real browser, with the model of the package."""

import json

import numpy as np
import pytest
from made_up_model import FACTS, write_model
from made_up_server import serve
from PIL import Image

from lesions.app.command_line import main
from lesions.app.formats import DISCLAIMER
from lesions.app.web.uploads import MAX_BYTES
from lesions.examples import FOLDER, list_examples

MODEL = "efficientnet_lite0"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def address(browser):
    with serve("--model", MODEL) as (found, _):
        yield found


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens the page in a window of its own."""
    contexts = []

    def visit(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.faults, page.requested = [], []
        page.on("console", lambda message: page.faults.append(message.text))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("request", lambda request: page.requested.append(request.url))
        page.goto(address)
        page.wait_for_selector("#examples img")
        return page

    yield visit
    for context in contexts:
        context.close()


def choose(page, *files):
    page.set_input_files("#files", [str(file) for file in files])
    page.wait_for_selector("#status:not(:empty):has-text('predicted'), #errors p")


def read_article(article):
    """Return the file's name, and the per cent that the page shows, by diagnosis."""
    rows = article.query_selector_all("tbody tr")
    shown = {
        row.query_selector("th").inner_text(): float(
            row.query_selector("td.number").inner_text().removesuffix(" %")
        )
        for row in rows
    }
    return article.query_selector("h2").inner_text(), shown


def test_it_shows_what_lesions_predict_says(open_page, address, capfd):
    examples = list(list_examples().values())
    assert main(["predict", *map(str, examples), "--json", "--model", MODEL]) == 0
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    page = open_page()
    choose(page, *examples)
    names = page.evaluate("fetch('/models').then(a => a.json()).then(a => a.models[0].classes)")
    articles = page.query_selector_all("article")
    assert len(articles) == len(said)
    for article, row in zip(articles, said, strict=True):
        file, shown = read_article(article)
        assert row["file"].endswith(file)
        expected = {names[dx]: 100 * p for dx, p in row["probabilities"].items()}
        assert shown == pytest.approx(expected, abs=0.5 + 1e-9)
        assert list(shown.values()) == sorted(shown.values(), reverse=True)
        text = article.inner_text()
        assert f"Predicted: {names[row['predicted']]}" in text
        assert all(names[dx] in text for dx in row["prediction_set"])
        assert ("does not look like" in text) == row["out_of_distribution"]
        for picture in article.query_selector_all("img"):
            assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    assert page.faults == []
    assert {url.startswith((address, "data:")) for url in page.requested} == {True}


def test_it_says_that_it_is_no_medical_device_and_what_the_model_gets_wrong(open_page):
    page = open_page()
    assert page.inner_text("#disclaimer") == DISCLAIMER
    about = page.inner_text("#about")
    assert "On 818 validation photographs of the study “recommended”" in about
    assert "Weakest subgroup: patients aged 75+" in about
    page.click("summary")
    rows = page.query_selector_all("#confusion tbody tr")
    cells = [[int(n.inner_text()) for n in row.query_selector_all("td")] for row in rows]
    assert sum(map(sum, cells)) == 818


def test_a_bad_file_is_said_and_the_others_are_predicted(open_page, tmp_path):
    bad = tmp_path / "notes.jpg"
    bad.write_text("not a photograph", encoding="utf-8")
    page = open_page()
    choose(page, bad, FOLDER / "nv.jpg")
    assert "notes.jpg is not a JPEG" in page.inner_text("#errors")
    assert len(page.query_selector_all("article")) == 1
    choose(page, bad)
    page.wait_for_selector("article", state="detached")
    assert "notes.jpg is not a JPEG" in page.inner_text("#errors")


def test_a_huge_file_is_refused_before_it_is_sent(open_page, tmp_path):
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(bytes(MAX_BYTES + 1))
    page = open_page()
    choose(page, huge)
    assert page.inner_text("#errors") == "20.0 MB are too much: at most 20 MB can be sent at once."
    choose(page, *[FOLDER / "nv.jpg"] * 17)
    assert page.inner_text("#errors") == "17 files are too many: at most 16 can be sent at once."
    assert not [url for url in page.requested if "/predict" in url]


def test_the_decision_rule_is_explained_and_another_model_clears_the_page(browser, tmp_path):
    rule = {"rule": "prior_adjusted", "exponent": 1.0}
    priors = {"red": 0.9, "green": 0.05, "blue": 0.05}
    calibration = FACTS["calibration"] | {"decision": rule | {"priors": priors}}
    write_model(tmp_path / "exports/colours.onnx", calibration=calibration)
    Image.new("RGB", (40, 30), (120, 60, 60)).save(tmp_path / "brown.png")
    with serve(folder=tmp_path) as (address, _), browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.select_option("#model", "colours")
        choose(page, tmp_path / "brown.png")
        assert page.inner_text(".predicted") == (
            "Predicted: a green one, by a rule that favours rare diagnoses; the most probable is "
            "a red one"
        )
        assert page.is_hidden("#about")  # nothing is known of it
        page.select_option("#model", MODEL)
        assert page.query_selector("article") is None
        assert page.is_visible("#about")


def test_what_is_unlike_the_training_photographs_promises_nothing(open_page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    page = open_page()
    choose(page, tmp_path / "noise.png")
    text = page.inner_text("article")
    assert "This does not look like the photographs that the model was trained on." in text
    assert "This photograph is not like them." in text or "Prediction set: none." in text
    assert "Probabilities, not calibrated" in text


def test_two_users_at_once_have_their_own_answers(open_page):
    pages = [open_page(), open_page()]
    for page, name in zip(pages, ("nv", "vasc"), strict=True):
        page.set_input_files("#files", str(FOLDER / f"{name}.jpg"))
    for page, name in zip(pages, ("nv", "vasc"), strict=True):
        page.wait_for_selector("article")
        assert page.inner_text("article h2") == f"{name}.jpg"


def test_the_evidence_fades_with_the_slider(open_page):
    page = open_page()
    choose(page, FOLDER / "mel.jpg")
    opacity = "image => getComputedStyle(image).opacity"
    assert page.eval_on_selector(".evidence", opacity) == "0.5"
    page.fill("article input[type=range]", "0")
    assert page.eval_on_selector(".evidence", opacity) == "0"


def test_it_can_be_used_with_the_keyboard_alone(open_page):
    page = open_page()
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.querySelector('img')?.alt ?? ''")
        if focused.endswith("melanoma"):
            break
    else:
        raise AssertionError("Tab does not reach the example of a melanoma")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("article")
    assert page.inner_text("article h2") == "synthetic-mel.jpg"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "range":
            break
    before = page.input_value("article input[type=range]")
    page.keyboard.press("ArrowRight")
    assert page.input_value("article input[type=range]") != before


def test_a_photograph_can_be_dropped(open_page):
    page = open_page()
    page.evaluate(
        """async () => {
            const blob = await (await fetch('/examples/bkl.jpg')).blob();
            const files = new DataTransfer();
            files.items.add(new File([blob], 'dropped.jpg'));
            document.getElementById('drop')
                .dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true }));
        }"""
    )
    page.wait_for_selector("article")
    assert page.inner_text("article h2") == "dropped.jpg"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{}, PHONE], ids=["desktop", "phone"])
def test_it_fits_the_screen_and_has_no_barriers(open_page, scheme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(color_scheme=scheme, **size)
    choose(page, FOLDER / "akiec.jpg", FOLDER / "nv.jpg", __file__)
    page.click("summary")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_nothing_on_the_page_can_run_code_of_a_file_name(open_page, tmp_path):
    name = "<img src=x onerror=alert(1)>.jpg"
    (tmp_path / name).write_bytes((FOLDER / "nv.jpg").read_bytes())
    page = open_page()
    choose(page, tmp_path / name)
    assert page.inner_text("article h2") == name
    assert page.faults == []


def test_an_older_answer_does_not_replace_a_newer_one(open_page):
    page = open_page()
    waiting = []
    page.route("**/predict*", lambda route: waiting.append(route), times=1)
    page.set_input_files("#files", str(FOLDER / "nv.jpg"))
    page.wait_for_function("document.getElementById('status').textContent !== ''")
    choose(page, FOLDER / "vasc.jpg")
    with page.expect_response("**/predict*") as answered:
        waiting[0].continue_()
    answered.value.finished()
    page.evaluate("new Promise(shown => setTimeout(() => requestAnimationFrame(shown), 500))")
    assert page.inner_text("article h2") == "vasc.jpg"


def test_an_example_says_that_the_server_does_not_answer(open_page):
    page = open_page()
    page.route("**/examples/*", lambda route: route.abort())
    page.click("#examples button")
    page.wait_for_selector("#errors p")
    assert "is 'lesions serve' still running?" in page.inner_text("#errors")


def test_it_says_that_the_server_does_not_answer(open_page):
    page = open_page()
    page.route("**/predict*", lambda route: route.abort())
    choose(page, FOLDER / "nv.jpg")
    assert "is 'lesions serve' still running?" in page.inner_text("#errors")
