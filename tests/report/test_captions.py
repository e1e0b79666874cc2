import subprocess
import sys
from typing import get_args

from cloned import ROOT

from lesions.config import sets
from lesions.report.captions import CAPTIONS, CAVEATS, DIAGNOSES, DISCLAIMER, SPLITS
from lesions.taxonomy import CODES


def choices(union, field):
    """Values that a field of the members of a discriminated union may have."""
    members = get_args(get_args(union)[0])
    return {value for m in members for value in get_args(m.model_fields[field].annotation)}


def test_every_kind_of_source_has_a_caption_and_a_caveat():
    kinds = choices(sets.Source, "kind")
    assert len(kinds) > 3
    assert set(CAPTIONS) == set(CAVEATS) == kinds


def test_every_split_of_a_study_is_described():
    assert set(SPLITS) == choices(sets.Split, "by") - {"none"}


def test_every_class_has_a_name():
    assert tuple(DIAGNOSES) == tuple(CODES)


def test_captions_import_the_standard_library_only():
    code = "import sys; import lesions.report.captions; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    names = {name.partition(".")[0] for name in done.stdout.split()}
    assert names - {"lesions", "__main__"} <= set(sys.stdlib_module_names)


def test_the_page_of_the_charts_has_the_disclaimer():
    assert DISCLAIMER in (ROOT / "templates" / "plots.html").read_text(encoding="utf-8")
