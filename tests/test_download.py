"""Downloads from a real server on this machine, whose faults are real."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml
from served import serve, serving

from lesions.cache import DownloadError, cache_folder
from lesions.data_lock import read_lock
from lesions.download import download
from lesions.transfer import Patience

BODY = os.urandom(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(tries=3, wait=0.01, connect=2, read=0.5, slowest=10_000)
BROKE_OFF = (
    r"in 1 tries .*; 150000 bytes are kept in .*\.part; run again later, and it goes on from "
    "there, or fetch it in a browser"
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(BODY) as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path):
    def run(plan="whole", **options):
        server.plan = plan.split(", ")
        options = {"lock": tmp_path / "lock.yaml", "patience": QUICK} | options
        return download(f"{server.at}/in/photos.zip", **{"name": "photos.zip"} | options)

    return run


def kept():
    """Everything in the cache but the locks of processes."""
    return sorted(p.name for p in cache_folder().rglob("*") if p.is_file() and p.name != ".lock")


def test_a_file_lands_in_the_cache_and_is_asked_for_once(fetch, server):
    path = fetch(sha256=SHA256)
    assert path.read_bytes() == BODY
    assert path.name == "photos.zip"
    assert path.is_relative_to(cache_folder())
    assert fetch(sha256=SHA256.upper()) == path
    assert len(server.log) == 1


def test_a_name_may_be_given_where_the_address_ends_in_a_number(fetch):
    assert fetch(name="HAM10000_metadata").name == "HAM10000_metadata"


def test_after_a_cut_only_the_rest_is_sent(fetch, server):
    assert fetch("cut, whole", sha256=SHA256).read_bytes() == BODY
    first, second = server.log
    # The first answer broke off half-way, at 150,000 of 300,000 bytes.
    assert (first["range"], first["sent"]) == (None, 150_000)
    assert (second["range"], second["sent"]) == ("bytes=150000-", 150_000)
    assert second["if"] is not None


def test_another_process_goes_on_where_one_broke_off(fetch, server):
    with pytest.raises(DownloadError, match=BROKE_OFF):
        fetch("cut", patience=QUICK._replace(tries=1))
    assert kept() == ["photos.zip.part", "photos.zip.part.version"]
    assert fetch("whole").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 150_000]
    assert kept() == ["photos.zip"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", patience=QUICK._replace(tries=1))
    server.body = BODY[::-1]
    assert fetch("whole").read_bytes() == BODY[::-1]
    assert server.log[1]["range"] == "bytes=150000-"
    assert server.log[1]["sent"] == 300_000


def test_a_server_without_ranges_sends_all_again(fetch, server):
    assert fetch("cut, no range").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 300_000]


def test_without_a_mark_of_the_version_only_a_known_hash_lets_it_go_on(fetch, server):
    assert fetch("bare cut, whole", sha256=SHA256).read_bytes() == BODY
    assert [(e["range"], e["if"]) for e in server.log] == [(None, None), ("bytes=150000-", None)]
    shutil.rmtree(cache_folder())
    server.log.clear()
    assert fetch("bare cut, whole").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 300_000]


def test_a_process_killed_after_the_last_byte_has_nothing_more_to_fetch(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", patience=QUICK._replace(tries=1))
    next(cache_folder().rglob("*.part")).write_bytes(BODY)
    assert fetch("whole").read_bytes() == BODY
    assert server.log[1]["sent"] == 0


def test_more_than_the_file_has_is_thrown_away(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", patience=QUICK._replace(tries=1))
    next(cache_folder().rglob("*.part")).write_bytes(BODY + b"more")
    assert fetch("whole").read_bytes() == BODY


# Hashes


def test_another_file_than_the_known_one_is_refused_and_not_kept(fetch, server):
    message = f"expected {'0' * 64} but got {SHA256}.* compared with the sha256 in params.yaml: run"
    with pytest.raises(DownloadError, match=message):
        fetch(sha256="0" * 64)
    assert kept() == []


def test_an_unknown_hash_is_printed_and_protects_from_then_on(fetch, server, tmp_path, capsys):
    fetch()
    assert SHA256 in capsys.readouterr().out
    url = f"{server.at}/in/photos.zip"
    assert yaml.safe_load((tmp_path / "lock.yaml").read_text(encoding="utf-8")) == {url: SHA256}
    shutil.rmtree(cache_folder())  # the second user
    server.body = b"PK" + BODY
    other = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(DownloadError, match=f"expected {SHA256} but got {other}.*correct .*lock"):
        fetch()
    assert yaml.safe_load((tmp_path / "lock.yaml").read_text(encoding="utf-8")) == {url: SHA256}


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(fetch, server):
    fetch().write_bytes(b"damaged")
    assert fetch().read_bytes() == BODY
    assert len(server.log) == 2


@pytest.mark.parametrize("text", ["- a list", "a: [", "a: 1"])
def test_a_lock_that_is_no_lock_is_refused(tmp_path, text):
    (tmp_path / "lock.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DownloadError, match=r"(?s)lock\.yaml must .* run 'git checkout"):
        read_lock(tmp_path / "lock.yaml")


# Servers


def test_a_busy_server_is_asked_again(fetch, server):
    assert fetch("503, 429, whole").read_bytes() == BODY
    assert len(server.log) == 3


def test_a_server_that_stays_busy_is_given_up(fetch, server):
    with pytest.raises(DownloadError, match=r"in 3 tries it was not, at last: 503 Service Unavail"):
        fetch("503")
    assert len(server.log) == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("404", "must be there; the server says 404 Not Found; look for the file's new address"),
        ("403", "says 403 Forbidden; it wants a permission: fetch it in a browser and set data.s"),
        ("400", "says 400 Bad Request; see what a browser shows there"),
    ],
)
def test_what_will_not_change_is_told_at_once(fetch, server, code, message):
    with pytest.raises(DownloadError, match=message):
        fetch(code)
    assert len(server.log) == 1


def test_a_server_that_is_not_there_is_told_after_some_tries(server, tmp_path):
    address = server.at.rpartition(":")[0] + ":1/a.zip"
    message = (
        r"in 3 tries it was not, at last: ConnectionError: Failed to establish a new connection: "
        r"\[Errno \d+\] Connection refused; nothing of it came; run again later, or fetch it in a "
        r"browser and set data\.source: folder \(.*\), as README\.md says\.$"
    )
    with pytest.raises(DownloadError, match=message):
        download(address, "a.zip", lock=tmp_path / "lock.yaml", patience=QUICK)


def test_each_try_that_fails_is_told_with_when_the_next_one_comes(fetch, server, capsys):
    with pytest.raises(DownloadError):
        fetch("503, cut, trickle")
    first, second = capsys.readouterr().err.splitlines()
    url = f"{server.at}/in/photos.zip was not sent whole"
    assert first == f"{url}: 503 Service Unavailable; try 2 of 3 comes in 0.01 s."
    # A wait doubles each time. The whole has 300,000 bytes, of which half came.
    cut = "ProtocolError: IncompleteRead(150000 bytes read, 150000 more expected)"
    assert second == f"{url}: {cut}; try 3 of 3 comes in 0.02 s."


def test_a_try_that_fails_is_told_before_the_wait(fetch, monkeypatch):
    told = []
    monkeypatch.setattr(sys.stderr, "write", lambda _: told.append(time.monotonic()))
    fetch("503, whole", patience=QUICK._replace(wait=0.5))
    assert time.monotonic() - told[0] >= 0.5


def test_of_a_connection_that_breaks_off_its_innermost_cause_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Silent(BaseHTTPRequestHandler):
        def handle(self):
            self.rfile.readline()

    with (
        serve(Silent) as silent,
        pytest.raises(DownloadError, match="without response; nothing of"),
    ):
        download(f"{silent.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", patience=QUICK)
    cause = "ConnectionError: Remote end closed connection without response; try 2 of 3 comes in"
    assert cause in capsys.readouterr().err


def test_a_cache_that_cannot_be_a_folder_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "file"))
    with pytest.raises(
        DownloadError, match=r"LESIONS_DOWNLOADS must name a folder, .*/file is a f"
    ):
        download(f"{server.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", patience=QUICK)


def test_what_is_no_address_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match="must be a URL that can be asked"):
        download("ftp://127.0.0.1/a.zip", "a.zip", lock=tmp_path / "lock.yaml", patience=QUICK)


def test_a_redirect_is_followed(fetch, server):
    assert fetch("to /elsewhere, whole").read_bytes() == BODY
    assert len(server.log) == 2


def test_after_a_redirect_too_only_the_rest_is_sent(fetch, server):
    assert fetch("to /elsewhere, cut, to /elsewhere, whole").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [0, 150_000, 0, 150_000]


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Give a certificate for 127.0.0.1 that signs itself, and let requests trust it."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl, which makes the certificate")
    file = tmp_path / "certificate.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command = [*words.split(), "-keyout", tmp_path / "key.pem", "-out", file]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(
        file.read_text(encoding="utf-8") + (tmp_path / "key.pem").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    return file


def test_an_encrypted_download_is_never_sent_on_to_an_open_one(server, certificate, tmp_path):
    options = {"lock": tmp_path / "lock.yaml", "patience": QUICK}
    with serving(BODY, certificate=certificate) as safe:
        assert download(f"{safe.at}/a.zip", "a.zip", **options).read_bytes() == BODY
        safe.plan = [f"to {server.at}/b.zip"]
        message = f"stay encrypted; {safe.at}/c.zip points to {server.at}/b.zip, which is not;"
        with pytest.raises(DownloadError, match=message):
            download(f"{safe.at}/c.zip", "c.zip", **options)
        assert server.log == []
        safe.plan = ["to /d.zip", "whole"]
        assert download(f"{safe.at}/e.zip", "e.zip", **options).read_bytes() == BODY


def test_a_certificate_that_nobody_vouches_for_is_told_at_once(
    server, certificate, tmp_path, monkeypatch
):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(BODY, certificate=certificate) as safe:
        with pytest.raises(DownloadError, match=r"the certificate of https.* must be good; it is"):
            download(f"{safe.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", patience=QUICK)
        assert safe.log == []


def test_a_trickle_is_given_up(fetch, server):
    began = time.monotonic()
    # 10 bytes every 0.05 s are 200 a second, where 10,000 are wanted, measured over 0.5 s.
    with pytest.raises(DownloadError, match=r"in 2 tries it was not, at last: only \d+ bytes came"):
        fetch("trickle", patience=QUICK._replace(tries=2))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("page", ["page", "typed page"])
def test_a_web_page_is_no_file(fetch, server, page):
    with pytest.raises(DownloadError, match=r"must give a file; it gives a web page \(text/"):
        fetch(page)
    assert kept() == []


# Disks


@pytest.mark.parametrize("plan", ["whole", "no length"])
def test_a_disk_that_fills_up_is_told_and_the_download_goes_on_later(fetch, server, tmp_path, plan):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here; that needs root")
    try:
        os.environ["LESIONS_DOWNLOADS"] = str(folder / "cache")  # the fixture puts it back
        message = r"room for the download; .*small/cache/\w+ has \d+ bytes free, .*; make room"
        message += ", and it goes on from there, or" if plan == "no length" else ", or"
        with pytest.raises(DownloadError, match=message):
            fetch(plan)
        assert "photos.zip" not in kept()
        # Told before anything is written where the server says how much comes.
        assert ("photos.zip.part" in kept()) == (plan == "no length")
        subprocess.run(["mount", "-o", "remount,size=2m", folder], check=True)
        assert fetch("whole").read_bytes() == BODY
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_file_too_large_for_the_limit_is_told_and_taken_up_later(server, tmp_path):
    script = f"""
        import resource
        from pathlib import Path
        from lesions.cache import DownloadError
        from lesions.download import download
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            lock = Path({str(tmp_path / "lock.yaml")!r})
            download("{server.at}/photos.zip", "photos.zip", lock=lock)
        except DownloadError as error:
            print(error)
    """
    path = f"{Path(__file__).parents[1] / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "photos.zip.part (100000 bytes so far) needs 200000 bytes more, 300000" in done.stdout
    url = f"{server.at}/photos.zip"
    path = download(url, "photos.zip", lock=tmp_path / "lock.yaml", patience=QUICK)
    assert path.read_bytes() == BODY
    assert server.log[1]["range"] == "bytes=100000-"


def test_downloads_lie_outside_the_repository_unless_told(monkeypatch):
    monkeypatch.delenv("LESIONS_DOWNLOADS", raising=False)
    assert not cache_folder().is_relative_to(Path(__file__).parents[1])
    assert cache_folder().name == "lesions"
