"""The API against its own OpenAPI description: no request makes the server fail."""

import subprocess
import sys
from pathlib import Path

import pytest
from made_up_server import serve

pytest.importorskip("schemathesis")
# Any bytes are a file by the description; those that are no photograph are refused.
OPTIONS = ("--max-examples", "100", "--seed", "1", "--exclude-checks=positive_data_acceptance")


def test_no_request_that_schemathesis_makes_up_is_answered_against_the_description(tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    with serve("--model", "efficientnet_lite0") as (address, _):
        done = subprocess.run(
            [program, "run", f"{address}/openapi.json", *OPTIONS],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
        )
    assert done.returncode == 0, done.stdout
    assert "4 selected / 4 total" in done.stdout
