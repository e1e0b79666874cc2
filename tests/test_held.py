import os
import re
import subprocess
import sys

import pytest

from lesions.held import hold_stderr

NOISE = re.compile(rb"noise|murmur")


def test_noise_is_given_and_kept_back_and_all_else_is_passed_on(capfd):
    with hold_stderr(NOISE) as (said, stderr):
        os.write(2, b"noise 1\na warning\n")
        assert said() == ["noise 1"]
        print("a bar", file=stderr, flush=True)
        assert capfd.readouterr().err == "a bar\n"
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'murmur\\nan error')"])
        assert said() == ["noise 1", "murmur"]
    assert capfd.readouterr().err == "a warning\nan error"


def test_what_was_said_is_not_lost_with_an_error(capfd):
    def fail():
        os.write(2, b"noise\nthe reason\n")
        raise KeyError

    with pytest.raises(KeyError), hold_stderr(NOISE):
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


def test_one_may_hold_within_another(capfd):
    with hold_stderr(NOISE) as (outer, _), hold_stderr(NOISE) as (inner, _):
        os.write(2, b"noise\nmore\n")
        assert (inner(), outer()) == (["noise"], [])
    assert capfd.readouterr().err == "more\n"
