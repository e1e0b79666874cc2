"""What a stage's process knows of the user's environment; tests/faults/test_environments.py has
whole studies run in hostile ones.
"""

import json
import os
import subprocess
import sys

import pytest

SHOW = """
import lesions.pipeline.cli, json, os, sys, time, warnings
warnings.warn("ignored by default", DeprecationWarning)
print(json.dumps({"variables": dict(os.environ), "zone": time.tzname[0], "sign": "×"}))
print("×")
"""


def show(**variables):
    """Give what a process has after the import that every stage begins with."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    found, sign = done.stdout.splitlines()
    return json.loads(found) | {"printed": sign}


@pytest.mark.parametrize(
    "name", ["TF_XLA_FLAGS", "ONEDNN_VERBOSE", "OMP_NUM_THREADS", "MATPLOTLIBRC", "KERAS_ANYTHING"]
)
def test_what_our_libraries_would_read_is_removed(name):
    assert name not in show(**{name: "1"})["variables"]


@pytest.mark.parametrize(
    "name", ["KERAS_HOME", "MPLCONFIGDIR", "ONEDNN_MAX_CPU_ISA", "TF_CPP_MIN_LOG_LEVEL", "OTHER"]
)
def test_what_changes_no_result_or_is_recorded_stays(name):
    assert show(**{name: "1"})["variables"][name] == "1"


def test_backends_and_time_zone_are_fixed():
    found = show(KERAS_BACKEND="jax", MPLBACKEND="nothing", TZ="Asia/Kathmandu")
    assert found["variables"]["KERAS_BACKEND"] == "tensorflow"
    assert found["variables"]["MPLBACKEND"] == "agg"
    assert found["zone"] == "UTC"


def test_warnings_as_errors_are_taken_back():
    show(PYTHONWARNINGS="error")  # it raises for the DeprecationWarning otherwise


def test_a_sign_that_the_terminal_does_not_know_is_printed_by_its_number():
    assert show(PYTHONIOENCODING="ascii")["printed"] == "\\xd7"
