"""The API, with a model whose answers are known."""

import asyncio
import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_up_model import CODES, write_model
from PIL import Image
from starlette.testclient import TestClient

from lesions.app.command_line import main
from lesions.app.formats import DISCLAIMER
from lesions.app.web import uploads
from lesions.app.web.api import HEADERS, make_app
from lesions.app.web.models import Measured, Served, load_models
from lesions.app.web.queue import Queue
from lesions.app.web.uploads import MAX_BYTES, MAX_FILES
from lesions.inference.exported import ExportedModel
from lesions.inference.self_test import answer

RED, GREEN = (200, 20, 20), (20, 200, 20)


def encode(colour, kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(stream, kind)
    return stream.getvalue()


def files(*contents):
    return [("files", (f"{number}.png", content)) for number, content in enumerate(contents)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ExportedModel(write_model(tmp_path_factory.mktemp("model") / "colours.onnx"))


@pytest.fixture
def start(model):
    """Return a function that starts a client of the API; it stops at the end."""
    started = []

    def begin(queue=None, **others):
        """Start the server, and wait until its self-test is over."""
        client = TestClient(make_app({"colours": Served(model), **others}, queue))
        started.append(client.__enter__())
        for _ in range(1000):
            if "under way" not in client.get("/readyz").text:
                return client
            time.sleep(0.01)
        raise AssertionError("The self-test does not end")

    yield begin
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def client(start):
    return start()


def test_the_answer_is_that_of_lesions_predict(client, model, tmp_path, monkeypatch, capfd):
    write_model(tmp_path / "exports/colours.onnx")
    monkeypatch.chdir(tmp_path)
    for number, colour in enumerate((RED, GREEN)):
        (tmp_path / f"{number}.png").write_bytes(encode(colour))
    assert main(["predict", "0.png", "1.png", "--json", "--model", "colours"]) == 0
    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    found = client.post("/predict", files=files(encode(RED), encode(GREEN)))
    assert found.status_code == 200
    assert found.json() == {
        "disclaimer": DISCLAIMER,
        "model": "colours",
        "predictions": printed,
    }
    assert [row["predicted"] for row in printed] == ["red", "green"]


def test_one_of_several_files_that_cannot_be_read_has_its_error(client):
    found = client.post("/predict", files=files(encode(RED), b"no picture", encode(GREEN)))
    assert found.status_code == 200
    first, second, third = found.json()["predictions"]
    assert (first["predicted"], third["predicted"]) == ("red", "green")
    assert second["file"] == "1.png"
    assert "1.png is not a JPEG, PNG, TIFF, WebP or BMP file" in second["error"]


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"no picture", 415, "convert it to JPEG"),
        (b"", 415, "0.png is empty"),
        (encode(RED)[:60], 422, "0.png"),
        (encode(RED, "JPEG")[:200], 422, "0.png is cut off"),
    ],
)
def test_if_no_file_can_be_read_the_status_says_so(client, content, status, message):
    found = client.post("/predict", files=files(content))
    assert found.status_code == status
    assert message in found.json()["error"]
    assert found.json()["predictions"] == [{"file": "0.png", "error": found.json()["error"]}]


def test_pixels_are_capped_by_the_header(client):
    huge = bytearray(encode(RED))
    huge[16:24] = (100_000).to_bytes(4, "big") * 2  # width and height of a PNG
    found = client.post("/predict", files=files(bytes(huge)))
    assert found.status_code == 422
    assert "100,000 × 100,000 pixels, above the limit" in found.json()["error"]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "application/"),
        ({"content": b"x"}, 415, "of no type"),
        ({"files": {"photo": b"x"}}, 422, "has no files"),
        ({"data": {"files": "text"}, "files": {"x": b""}}, 422, "has no files"),
        ({"files": files(*[b"x"] * (MAX_FILES + 1))}, 422, f"more than {MAX_FILES} files"),
        ({"files": files(*[b"x"] * 40)}, 422, f"more than {MAX_FILES} files"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "boundary",
        ),
        (
            {
                "content": b"broken",
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            400,
            "Invalid multipart data",
        ),
        ({"files": files(b"x"), "params": {"model": "../x"}}, 404, "choose from colours"),
        ({"files": files(b"x"), "params": {"explain": "perhaps"}}, 422, "query.explain"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(client, request_, status, message):
    found = client.post("/predict", **request_)
    assert found.status_code == status, found.text
    assert list(found.json()) == ["error"]
    assert message in found.json()["error"]


def test_other_paths_and_methods_answer_in_json_too(client):
    assert client.get("/nothing").status_code == 404
    assert client.get("/predict").status_code == 405
    assert client.get("/page/../api.py").status_code == 404
    assert client.get("/examples/%2e%2e/__init__.py").status_code == 404
    assert list(client.get("/predict").json()) == ["error"]


def test_a_request_whose_end_is_missing_is_refused(client):
    head = '--b\r\nContent-Disposition: form-data; name="files"; filename="{}.png"\r\n\r\n'
    first, second = (head.format(name).encode() for name in "ab")
    body = first + encode(RED) + b"\r\n" + second + encode(GREEN)
    for cut in (body, body[:-50], first + encode(RED)):
        found = send(client, cut)
        assert found.status_code == 400
        assert "The request is cut off" in found.json()["error"]
    whole = send(client, body + b"\r\n--b--\r\n")
    assert [row["file"] for row in whole.json()["predictions"]] == ["a.png", "b.png"]


@pytest.mark.parametrize("charset", ["undefined", "punycode", "utf-7", "unicode_escape", "latin-1"])
def test_names_are_utf_8_whatever_the_request_says(client, charset):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="\xc3\xa4+2AA-.png"\r\n\r\n'
        + encode(RED)
        + b"\r\n--b--\r\n"
    )
    kind = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    found = client.post("/predict", content=body, headers=kind)
    assert [row["file"] for row in found.json()["predictions"]] == ["ä+2AA-.png"]


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403)]
)
def test_the_page_of_another_server_cannot_send_photographs(client, site, status):
    headers = {"Sec-Fetch-Site": site}
    assert client.post("/predict", files=files(encode(RED)), headers=headers).status_code == status


def send(client, chunks):
    """Send a body of unknown length."""
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    return client.post("/predict", content=chunks, headers=kind)


def test_a_request_that_is_too_long_is_refused_before_it_is_parsed(client, monkeypatch):
    def parse(*_):
        raise AssertionError("it was parsed")

    monkeypatch.setattr("python_multipart.multipart.MultipartParser.write", parse)
    found = client.post("/predict", files=files(bytes(MAX_BYTES)))
    assert found.status_code == 413
    assert "more than 20 MB" in found.json()["error"]


def test_a_request_of_unknown_length_is_cut_off(client):
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    found = send(client, iter([head, *[bytes(1_000_000)] * 30]))
    assert found.status_code == 413


def test_files_stay_in_memory(client, monkeypatch):
    def roll_over(*_):
        raise AssertionError("a file was written to the disk")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", roll_over)
    content = encode(RED) + bytes(5_000_000)
    assert client.post("/predict", files=files(content)).status_code == 200


def test_a_request_that_takes_too_long_is_refused(model, monkeypatch):
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.05)
    app = make_app({"colours": Served(model)})
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b")],
    }
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    async def run():
        async with app.router.lifespan_context(app):
            while not sent or sent[0]["status"] == 503:  # the self-test is under way
                await asyncio.sleep(0.01)
                sent.clear()
                await app(scope, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == 408
    assert "not complete after 0.05 seconds" in json.loads(sent[1]["body"])["error"]


class Held:
    """A queue whose work waits for `release`."""

    def __init__(self, **limits):
        self.queue, self.release, self.began = Queue(**limits), threading.Event(), threading.Event()
        self._run = self.queue.run
        self.queue.run = self.run

    async def run(self, work):
        def wait(given_up):
            self.began.set()
            self.release.wait(20)
            return work(given_up)

        return await self._run(wait)


def test_too_many_requests_are_refused_and_the_others_answered(start):
    held = Held(max_waiting=1)
    client = start(held.queue)
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(client.post, "/predict", files=files(encode(RED)))
        assert held.began.wait(20)
        second = client.post("/predict", files=files(encode(RED)))
        held.release.set()
        assert first.result().status_code == 200
    assert second.status_code == 429
    assert second.headers["Retry-After"] == "1"
    assert "Too many requests wait" in second.json()["error"]
    assert client.post("/predict", files=files(encode(RED))).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(start, monkeypatch):
    held = Held(seconds=0.2)
    client = start(held.queue)
    decoded = []
    monkeypatch.setattr("lesions.app.web.api.predict_photographs", lambda *_: decoded.append(1))
    found = client.post("/predict", files=files(encode(RED)))
    held.release.set()
    held.queue.close()
    assert decoded == []  # nobody waits for it any more
    assert found.status_code == 503
    assert "No answer after 0.2 seconds" in found.json()["error"]


def test_it_is_ready_only_if_the_self_test_gives_the_stored_answer(start, model):
    stored = answer(model)
    good = start(colours=Served(model, Measured(self_test=stored)))
    assert good.get("/readyz").status_code == 200
    other = start(colours=Served(model, Measured(self_test=stored[::-1])))
    assert other.get("/healthz").json() == {"status": "ok"}
    for found in (other.get("/readyz"), other.post("/predict", files=files(encode(RED)))):
        assert found.status_code == 503
        assert "answers" in found.json()["error"]


def test_a_self_test_that_fails_in_any_way_is_said(start, monkeypatch):
    def fail(_):
        raise RuntimeError("no memory")

    monkeypatch.setattr("lesions.inference.self_test.answer", fail)
    assert "no memory" in start().get("/readyz").json()["error"]


def test_without_a_stored_answer_the_self_test_asks_for_probabilities(start, model, monkeypatch):
    assert start().get("/readyz").status_code == 200
    monkeypatch.setattr("lesions.inference.self_test.answer", lambda _: [np.nan, 0.5, 0.5])
    assert start().get("/readyz").status_code == 503


def test_explanations_are_pictures_of_one_size(client):
    found = client.post("/predict?explain=true", files=files(encode(RED), b"x"))
    explanation = found.json()["predictions"][0]["explanation"]
    pictures = [Image.open(io.BytesIO(base64.b64decode(one))) for one in explanation.values()]
    assert [picture.format for picture in pictures] == ["JPEG", "PNG"]
    assert pictures[0].size == pictures[1].size
    assert np.abs(np.asarray(pictures[0])[100, 100] - np.array(RED)).max() < 8
    assert "explanation" not in found.json()["predictions"][1]


def test_every_model_can_be_chosen_and_the_first_is_the_default(start, tmp_path):
    other = ExportedModel(write_model(tmp_path / "x.onnx", malignant=[]))
    client = start(other=Served(other))
    assert [model["name"] for model in client.get("/models").json()["models"]] == [
        "colours",
        "other",
    ]
    found = client.post("/predict?model=other", files=files(encode(RED)))
    assert found.json()["model"] == "other"
    assert client.post("/predict", files=files(encode(RED))).json()["model"] == "colours"


ESTIMATE = {"value": 0.8, "low": 0.7, "high": 0.9}
SCORES = {
    "partition": "val",
    "n_images": 9,
    "accuracy": ESTIMATE,
    "balanced_accuracy": ESTIMATE,
    "confusion": {a: dict.fromkeys(CODES, 1) for a in CODES},
    "weakest": None,
}


def test_models_say_how_good_they_are(start, model):
    client = start(colours=Served(model, Measured(scores=SCORES)))
    [shown] = client.get("/models").json()["models"]
    assert shown["scores"] == SCORES
    assert shown["coverage"] == 0.9
    assert shown["tells_unlike"]
    assert shown["explains"]
    assert shown["synthetic"]


def test_every_answer_has_the_headers_and_none_allows_other_origins(client):
    for found in (
        client.get("/", headers={"Origin": "https://example.org"}),
        client.get("/page/page.js"),
        client.get("/nothing"),
        client.post("/predict", files=files(b"x"), headers={"Origin": "https://example.org"}),
    ):
        assert HEADERS.items() <= {k.title(): v for k, v in found.headers.items()}.items()
        assert not [name for name in found.headers if name.startswith("access-control")]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_models_of_the_same_name_and_broken_ones_are_refused(tmp_path):
    first = write_model(tmp_path / "a/colours.onnx")
    second = write_model(tmp_path / "b/colours.onnx")
    with pytest.raises(ValueError, match="Two models are called colours"):
        load_models([str(first), str(second)])
    second.write_bytes(b"broken")
    with pytest.raises(ValueError, match="is not an ONNX model"):
        load_models([str(second)])


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ("", "colours.json is not what stage export writes beside a model"),
        ("[]", "colours.json is not what"),
        ('{"self_test": "abc"}', "self_test: Input should be a valid array"),
        ('{"scores": {"x": 1}}', "scores.partition: Field required"),
        (json.dumps({"scores": SCORES | {"confusion": {}}}), "has scores of other classes than"),
    ],
)
def test_a_wrong_file_beside_a_model_is_refused_by_name(tmp_path, beside, message):
    path = write_model(tmp_path / "colours.onnx")
    path.with_suffix(".json").write_text(beside, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_models([str(path)])


def test_facts_that_cannot_be_shown_are_refused(tmp_path):
    path = write_model(tmp_path / "colours.onnx", profile=5)
    with pytest.raises(ValueError, match=r"facts that cannot be shown \(study: "):
        load_models([str(path)])
