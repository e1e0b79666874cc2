"""What explains a stage that a signal ends; tests/faults/test_orphans.py has DVC end."""

import os
import signal
import subprocess
import sys

import pytest

BEGIN = """
import os, sys
from lesions.pipeline.watchdog import explain_if_killed
explain_if_killed('out of "%s"')
"""
EXPLANATION = '\nout of "%s"\n'


def run(end, **variables):
    """Return the exit code and what was printed of a process that ends in this way."""
    done = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}\n{end}"],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | variables,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_a_stage_that_a_signal_ends_is_explained(by):
    assert run(f"os.kill(os.getpid(), {int(by)})", DVC_STAGE="train") == (-by, EXPLANATION)


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("raise SystemExit('no')", 1), ("1 / 0", 1)]
)
def test_a_stage_that_ends_by_itself_is_not(end, code):
    found, printed = run(end, DVC_STAGE="train")
    assert found == code
    assert EXPLANATION not in printed


def test_nor_is_a_stage_that_is_run_by_hand(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert run("os.kill(os.getpid(), 9)") == (-9, "")
