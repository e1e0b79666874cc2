"""The TRIPOD+AI checklist: complete, and every place that it names is there."""

import re
from collections import Counter

from cloned import ROOT

PAGE = (ROOT / "docs/reference/tripod-ai.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (\d+)([a-g]?)(?: \([DE]\))? \| .+ \| \*\*([A-Z][a-z ]+)[^|]* \|$", PAGE, re.MULTILINE
)
# Collins et al., BMJ 2024;385:e078378, table 2: 27 items, of which these have subitems.
LAST = {3: "c", 5: "b", 6: "c", 8: "c", 9: "c", 12: "g", 18: "f", 20: "c", 23: "b", 27: "c"}
CARD = "results/recommended/MODEL_CARD.md"


def test_all_52_subitems_stand_there_in_order():
    expected = [
        f"{item}{letter}"
        for item in range(1, 28)
        for letter in ("abcdefg"[: "abcdefg".index(LAST[item]) + 1] if item in LAST else [""])
    ]
    assert len(expected) == 52
    assert [item + letter for item, letter, _ in ROWS] == expected


def test_the_page_counts_its_answers():
    found = Counter(answer for *_, answer in ROWS)
    assert set(found) == {"Reported", "Partly", "Not reported", "Not applicable"}
    counts = (
        "{Reported} are reported, {Partly} partly, {Not reported} are not, and {Not applicable} "
    )
    assert counts.format_map(found) + "do not apply" in " ".join(PAGE.split())


def test_every_file_that_it_names_exists():
    names = set(re.findall(r"`([\w./-]+/[\w./-]+)`", PAGE))
    assert len(names) > 10
    assert {name for name in names if not (ROOT / name).exists()} == set()


def test_every_section_and_paragraph_that_it_names_exists():
    sections = {(CARD, name) for name in re.findall(r"[Cc]ard, \*([^*]+)\*", PAGE)}
    paragraphs = re.findall(r"`([\w./-]+)`, paragraph \*([^*]+)\*", PAGE)
    assert sections
    assert paragraphs
    for file, name in sections:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^#+ {re.escape(name)}$", text, re.MULTILINE), name
    for file, name in paragraphs:
        assert f"**{name}.**" in (ROOT / file).read_text(encoding="utf-8"), name
