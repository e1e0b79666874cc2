"""The report in the Chromium that is installed, without a network."""

import pytest
from made_up_study import draw_page, make_study

# Of every chart: its name, how many marks it has drawn, the width of its box, the drawing's size.
CHARTS = """() => [...document.querySelectorAll("[data-chart]")].map((box) => {
  const marks = box.querySelectorAll("svg .role-mark :is(path, line, text)");
  const svg = box.querySelector("svg");
  return [box.id, marks.length, box.clientWidth, svg?.clientWidth, svg?.clientHeight];
})"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    written = tmp_path_factory.mktemp("report") / "report.html"
    written.write_text(draw_page(make_study(external=("elsewhere",))), encoding="utf-8")
    return written


@pytest.fixture
def open_page(browser, file):
    """Open the report at a width and in a colour scheme; return the page and the console."""
    contexts = []

    def open_it(width, scheme):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _note_if_fetched(request.url, complaints))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
        return page, complaints

    yield open_it
    for context in contexts:
        context.close()


def _note_if_fetched(url, complaints):
    if not url.startswith(("file:", "data:")):
        complaints.append(f"fetched {url}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_and_the_console_stays_silent(open_page, width, scheme):
    page, complaints = open_page(width, scheme)
    assert complaints == []
    charts = page.evaluate(CHARTS)
    assert len(charts) > 20
    for name, n_marks, box, drawing, height in charts:
        assert n_marks > 0, f"{name} is empty"
        assert 0 < drawing <= box, f"{name} is {drawing} px wide in a box of {box}"
        assert height > 60, f"{name} is {height} px high"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter((image) => !image.naturalWidth).length"
    assert page.evaluate(broken) == 0


def test_light_and_dark_have_colours_of_their_own(open_page):
    look = """() => {
      const [page, label] = ["body", "svg .role-axis-label text"].map(
        (name) => getComputedStyle(document.querySelector(name)));
      return [page.backgroundColor, label.fill];
    }"""
    light, dark = (open_page(1280, scheme)[0].evaluate(look) for scheme in ("light", "dark"))
    assert light[0] != dark[0]
    assert light[1] != dark[1]


def test_charts_follow_the_width_of_the_window(open_page):
    page, complaints = open_page(1280, "light")
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.documentElement.scrollWidth <= 390", timeout=30_000)
    assert all(drawing <= box for _, _, box, drawing, _ in page.evaluate(CHARTS))
    assert complaints == []


def test_the_contents_stay_in_sight_on_a_desktop_and_come_first_on_a_phone(open_page):
    for width, sticks in ((1280, "sticky"), (390, "static")):
        page, _ = open_page(width, "light")
        assert page.evaluate("getComputedStyle(document.querySelector('nav')).position") == sticks


def test_printing_opens_what_is_folded(open_page):
    page, complaints = open_page(1280, "dark")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") > 0
    page.pdf()
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert complaints == []
