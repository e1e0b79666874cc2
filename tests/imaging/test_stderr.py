import os
import re
import subprocess
import sys

import pytest

from lesions.imaging.stderr import capture_stderr

NOISE = re.compile(rb"noise|murmur")


def test_matching_lines_are_captured_and_all_others_passed_on(capfd):
    with capture_stderr(NOISE) as (captured, stderr):
        os.write(2, b"noise 1\na warning\n")
        print("a bar", file=stderr, flush=True)
        assert capfd.readouterr().err == "a bar\n"
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'murmur\\nan error')"])
    assert captured == ["noise 1", "murmur"]
    assert capfd.readouterr().err == "a warning\nan error"


def test_nothing_is_lost_if_the_block_raises(capfd):
    def fail():
        os.write(2, b"noise\nthe reason\n")
        raise KeyError

    with pytest.raises(KeyError), capture_stderr(NOISE):
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


def test_captures_may_be_nested(capfd):
    with capture_stderr(NOISE) as (outer, _), capture_stderr(NOISE) as (inner, _):
        os.write(2, b"noise\nmore\n")
    assert (inner, outer) == (["noise"], [])
    assert capfd.readouterr().err == "more\n"
