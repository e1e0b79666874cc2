"""`lesions serve` as a process: its start, its end, and large requests over a real connection."""

import signal
import subprocess
import sys
import time

import httpx2
import pytest
from cloned import ROOT
from made_up_model import write_model
from made_up_server import serve

from lesions.app.command_line import main
from lesions.app.web.uploads import MAX_BYTES
from lesions.examples import list_examples

EXAMPLES = {name: path.read_bytes() for name, path in list_examples().items()}


@pytest.fixture(scope="module")
def address():
    with serve("--model", "efficientnet_lite0") as (found, _):
        yield found


def post(address, *contents, **parameters):
    files = [("files", (f"{number}.jpg", content)) for number, content in enumerate(contents)]
    return httpx2.post(f"{address}/predict", files=files, params=parameters, timeout=60)


def test_the_model_of_the_package_predicts_the_examples(address):
    found = post(address, *EXAMPLES.values()).json()
    assert [row["predicted"] for row in found["predictions"]].count("nv") >= 1
    assert all(abs(sum(row["probabilities"].values()) - 1) < 0.001 for row in found["predictions"])


def test_a_request_that_is_too_large_is_answered_while_it_is_sent(address):
    found = post(address, bytes(3 * MAX_BYTES))
    assert found.status_code == 413
    assert "more than 20 MB" in found.json()["error"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_finished_when_the_server_is_stopped(stop):
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    with serve("--model", "efficientnet_lite0", stop=stop) as (address, server):

        def send_and_stop():
            yield head + EXAMPLES["mel"][:1000]
            time.sleep(0.5)  # the request is under way
            server.send_signal(stop)
            time.sleep(0.5)
            yield EXAMPLES["mel"][1000:] + b"\r\n--b--\r\n"

        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        found = httpx2.post(f"{address}/predict", content=send_and_stop(), headers=kind, timeout=60)
        assert server.wait(60) in (0, -stop)
    assert found.status_code == 200
    assert found.json()["predictions"][0]["file"] == "a.jpg"


def test_a_model_that_cannot_be_loaded_ends_the_command(tmp_path, capfd):
    (tmp_path / "x.onnx").write_bytes(b"broken")
    assert main(["serve", "--model", str(tmp_path / "x.onnx")]) == 1
    assert "is not an ONNX model" in capfd.readouterr().err


def test_an_address_that_is_taken_is_said(address):
    port = address.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "lesions.app", "serve", "--port", port],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_packages_it_says_what_to_install(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ImportError('no fastapi')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lesions.app", "serve"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert "pip install '.[serve]'" in done.stderr


def test_predictions_are_those_of_the_model_that_is_named(tmp_path):
    write_model(tmp_path / "exports/colours.onnx")
    with serve(folder=tmp_path) as (address, _):
        names = [model["name"] for model in httpx2.get(f"{address}/models").json()["models"]]
        assert names == ["efficientnet_lite0", "colours"]
        assert post(address, EXAMPLES["vasc"], model="colours").json()["model"] == "colours"
