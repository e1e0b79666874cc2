"""`make demo` in a fresh clone: a light environment, and the page."""

import os
import signal
import subprocess
import urllib.request

import pytest
from cloned import Clone
from made_up_server import wait_until_ready

pytestmark = pytest.mark.slow


def test_make_demo_shows_the_page_in_a_fresh_clone(tmp_path):
    folder = Clone(tmp_path / "clone").folder
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with subprocess.Popen(
        ["make", "demo", "PORT=0"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
    ) as demo:
        try:
            said = []
            for line in demo.stderr:
                said.append(line)
                if line.startswith("Open http://"):
                    address = line.split()[1].rstrip(";")
                    break
            else:
                raise AssertionError("".join(said))
            wait_until_ready(address)
            with urllib.request.urlopen(address) as page:
                assert "not a medical device" in page.read().decode()
        finally:
            os.killpg(demo.pid, signal.SIGTERM)
            demo.stderr.read()
    packages = {path.name for path in folder.glob(".venv-serve/lib/python3.*/site-packages/*")}
    assert "fastapi" in packages
    assert not packages & {"tensorflow", "keras", "pandas", "dvc", "sklearn"}
