import subprocess
import sys
from typing import get_args

import pytest
from cloned import ROOT

from lesions.config import sets
from lesions.report.captions import (
    CAPTIONS,
    CAVEATS,
    DISCLAIMER,
    SPLITS,
    describe_lesion_ids,
    describe_split,
)


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


@pytest.mark.parametrize(
    ("by", "unit", "has_lesion_ids", "begins", "ends"),
    [
        ("group", "lesion", True, "All photographs of a lesion", "different lesion ids."),
        ("group", "patient", True, "All photographs of a patient", "the audit found."),
        ("group", "patient", False, "All photographs of a patient", "the audit found."),
        ("group", "image", False, "The metadata have no lesion ids", "near-duplicates."),
        ("lesion", "lesion", True, "All photographs of a lesion", "be separated."),
        ("lesion", "patient", True, "All photographs of a lesion", "in several partitions."),
        ("lesion", "patient", False, "The metadata have no lesion ids", "train and test."),
        ("image", "patient", True, "Images were split at random", "in several partitions."),
    ],
)
def test_what_is_kept_together_depends_on_what_the_metadata_name(
    by, unit, has_lesion_ids, begins, ends
):
    details = {"bootstrap": {"unit": unit}, "has_lesion_ids": has_lesion_ids}
    text = describe_split({"by": by}, details)
    assert text.startswith(begins)
    assert text.endswith(ends)
    says = describe_lesion_ids(details)
    assert bool(says) != has_lesion_ids
    assert ("kept together" in says) == (unit == "image")


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
