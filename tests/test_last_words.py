import os
import signal
import subprocess
import sys

import pytest

LEAVE = (
    "import os, sys; from lesions.last_words import *; leave_last_words('it is short; of \"%s\"')"
)
SAID = '\nit is short; of "%s"\n'


def run(end):
    """Give the exit code and what was said of a process with last words that ends so."""
    command = [sys.executable, "-c", f"{LEAVE}\n{end}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=os.environ)
    return done.returncode, done.stderr


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_a_process_that_a_signal_ends_has_its_last_words(by):
    assert run(f"os.kill(os.getpid(), {int(by)})") == (-by, SAID)


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("raise SystemExit('no')", 1), ("1 / 0", 1)]
)
def test_a_process_that_ends_by_itself_has_none(end, code):
    found, said = run(end)
    assert found == code
    assert SAID not in said


def test_what_was_taken_back_is_not_said():
    assert run("take_back(); os.kill(os.getpid(), 9)") == (-9, "")
