"""Downloads from a local server with real faults."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from http.server import BaseHTTPRequestHandler

import pytest
import yaml
from cloned import ROOT
from served import serve, serving

from lesions.datasets.download.cache import cache_folder, download, read_checksums
from lesions.datasets.download.transfer import DownloadError

BODY = os.urandom(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = {"attempts": 3, "backoff": 0.01, "read_timeout": 0.5, "min_speed": 10_000}
INTERRUPTED = (
    r"failed \(.*\), 1 times; run again later to resume after 150000 bytes, or download it in a b"
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(BODY) as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path):
    def run(plan="complete", **options):
        server.plan = plan.split(", ")
        options = {"name": "photos.zip", "lock": tmp_path / "lock.yaml"} | QUICK | options
        return download(f"{server.at}/in/photos.zip", **options)

    return run


def kept():
    """Return the names of all cached files, without locks."""
    return sorted(p.name for p in cache_folder().rglob("*") if p.is_file() and p.name != ".lock")


def test_a_file_is_cached_and_requested_once(fetch, server):
    path = fetch(sha256=SHA256)
    assert path.read_bytes() == BODY
    assert path.name == "photos.zip"
    assert path.is_relative_to(cache_folder())
    assert fetch(sha256=SHA256.upper()) == path
    assert len(server.log) == 1


def test_the_name_in_the_cache_is_the_one_given(fetch):
    assert fetch(name="HAM10000_metadata").name == "HAM10000_metadata"


def test_an_interrupted_download_requests_only_the_rest(fetch, server):
    assert fetch("cut, complete", sha256=SHA256).read_bytes() == BODY
    first, second = server.log
    # The first response was cut off after 150,000 of 300,000 bytes.
    assert (first["range"], first["sent"]) == (None, 150_000)
    assert (second["range"], second["sent"]) == ("bytes=150000-", 150_000)
    assert second["if"] is not None


def test_another_process_resumes_an_interrupted_download(fetch, server):
    with pytest.raises(DownloadError, match=INTERRUPTED):
        fetch("cut", attempts=1)
    assert kept() == ["photos.zip.part", "photos.zip.part.version"]
    assert fetch("complete").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 150_000]
    assert kept() == ["photos.zip"]


def test_a_file_that_changed_in_between_is_downloaded_again(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", attempts=1)
    server.body = BODY[::-1]
    assert fetch("complete").read_bytes() == BODY[::-1]
    assert server.log[1]["range"] == "bytes=150000-"
    assert server.log[1]["sent"] == 300_000


def test_a_server_without_ranges_sends_everything_again(fetch, server):
    assert fetch("cut, no range").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 300_000]


def test_without_an_etag_a_download_resumes_only_with_a_known_hash(fetch, server):
    assert fetch("bare cut, complete", sha256=SHA256).read_bytes() == BODY
    assert [(e["range"], e["if"]) for e in server.log] == [(None, None), ("bytes=150000-", None)]
    shutil.rmtree(cache_folder())
    server.log.clear()
    assert fetch("bare cut, complete").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [150_000, 300_000]


def test_a_download_killed_after_the_last_byte_requests_nothing_more(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", attempts=1)
    next(cache_folder().rglob("*.part")).write_bytes(BODY)
    assert fetch("complete").read_bytes() == BODY
    assert server.log[1]["sent"] == 0


def test_a_partial_file_longer_than_the_file_is_discarded(fetch, server):
    with pytest.raises(DownloadError):
        fetch("cut", attempts=1)
    next(cache_folder().rglob("*.part")).write_bytes(BODY + b"more")
    assert fetch("complete").read_bytes() == BODY


# Hashes


def test_a_file_with_another_hash_is_refused_and_not_kept(fetch, server):
    message = (
        rf"compared with sha256 in params\.yaml: .*expected {'0' * 64} but got {SHA256}.* Run again"
    )
    with pytest.raises(DownloadError, match=message):
        fetch(sha256="0" * 64)
    assert kept() == []


def test_an_unknown_hash_is_printed_recorded_and_compared_later(fetch, server, tmp_path, capsys):
    fetch()
    assert SHA256 in capsys.readouterr().out
    url = f"{server.at}/in/photos.zip"
    assert yaml.safe_load((tmp_path / "lock.yaml").read_text(encoding="utf-8")) == {url: SHA256}
    shutil.rmtree(cache_folder())  # the second user
    server.body = b"PK" + BODY
    other = hashlib.sha256(server.body).hexdigest()
    message = f"expected {SHA256} but got {other}.*correct .*lock"
    with pytest.raises(DownloadError, match=message):
        fetch()
    assert yaml.safe_load((tmp_path / "lock.yaml").read_text(encoding="utf-8")) == {url: SHA256}


def test_a_file_damaged_in_the_cache_is_downloaded_again(fetch, server):
    fetch().write_bytes(b"damaged")
    assert fetch().read_bytes() == BODY
    assert len(server.log) == 2


@pytest.mark.parametrize("text", ["- a list", "a: [", "a: 1"])
def test_a_lock_that_does_not_map_urls_to_hashes_is_refused(tmp_path, text):
    (tmp_path / "lock.yaml").write_text(text, encoding="utf-8")
    message = r"lock\.yaml does not map URLs to SHA-256; run 'git checkout"
    with pytest.raises(DownloadError, match=message):
        read_checksums(tmp_path / "lock.yaml")


# Servers


def test_a_busy_server_is_requested_again(fetch, server):
    assert fetch("503, 429, complete").read_bytes() == BODY
    assert len(server.log) == 3


def test_a_server_that_stays_busy_fails_after_all_attempts(fetch, server):
    with pytest.raises(DownloadError, match=r"failed \(.*503 Service Unavailable\), 3 times"):
        fetch("503")
    assert len(server.log) == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("404", r"photos\.zip failed \(404 Not Found\); look for its new URL"),
        (
            "403",
            r"failed \(403 Forbidden\); it requires permission: download it in a bro",
        ),
        ("400", r"failed \(400 Bad Request\); open it in a browser"),
    ],
)
def test_a_permanent_failure_is_reported_at_once(fetch, server, code, message):
    with pytest.raises(DownloadError, match=message):
        fetch(code)
    assert len(server.log) == 1


def test_an_unreachable_server_fails_after_all_attempts(server, tmp_path):
    address = server.at.rpartition(":")[0] + ":1/a.zip"
    message = (
        r"failed \(ConnectionError: Failed to establish a new connection: \[Errno \d+\] Connection "
        r"refused\), 3 times; run again later to resume after 0 bytes, or download it in a browser "
        r"and use a source of kind `folder`$"
    )
    with pytest.raises(DownloadError, match=message):
        download(address, "a.zip", lock=tmp_path / "lock.yaml", **QUICK)


def test_each_retry_is_announced_with_its_wait(fetch, server, capsys):
    with pytest.raises(DownloadError):
        fetch("503, cut, slow")
    first, second = capsys.readouterr().err.splitlines()
    failed = f"Download of {server.at}/in/photos.zip failed"
    busy = "ConnectionError: 503 Service Unavailable"
    assert first == f"{failed} ({busy}); retrying in 0.01 s (2/3)"
    # The wait doubles each time. Half of the 300,000 bytes were received.
    cut = "ProtocolError: IncompleteRead(150000 bytes read, 150000 more expected)"
    assert second == f"{failed} ({cut}); retrying in 0.02 s (3/3)"


def test_a_retry_is_announced_before_the_wait(fetch, monkeypatch):
    told = []
    monkeypatch.setattr(sys.stderr, "write", lambda _: told.append(time.monotonic()))
    fetch("503, complete", backoff=0.5)
    assert time.monotonic() - told[0] >= 0.5


def test_the_root_cause_of_a_failed_connection_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Silent(BaseHTTPRequestHandler):
        def handle(self):
            self.rfile.readline()

    with (
        serve(Silent) as silent,
        pytest.raises(DownloadError, match="without response"),
    ):
        download(f"{silent.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", **QUICK)
    cause = "(ConnectionError: Remote end closed connection without response); retrying in"
    assert cause in capsys.readouterr().err


def test_a_cache_that_cannot_be_a_folder_is_refused(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "file"))
    message = r"Not a directory: '.*/file/\w+'; set LESIONS_DOWNLOADS to a folder"
    with pytest.raises(DownloadError, match=message):
        download(f"{server.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", **QUICK)


def test_another_protocol_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match=r"ftp://.* cannot be requested: .*; check the URL"):
        download("ftp://127.0.0.1/a.zip", "a.zip", lock=tmp_path / "lock.yaml", **QUICK)


def test_a_redirect_is_followed(fetch, server):
    assert fetch("to /elsewhere, complete").read_bytes() == BODY
    assert len(server.log) == 2


def test_a_redirected_download_requests_only_the_rest(fetch, server):
    assert fetch("to /elsewhere, cut, to /elsewhere, complete").read_bytes() == BODY
    assert [entry["sent"] for entry in server.log] == [0, 150_000, 0, 150_000]


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Return a self-signed certificate for 127.0.0.1, trusted by requests."""
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


def test_a_redirect_from_https_to_http_is_refused(server, certificate, tmp_path):
    options = {"lock": tmp_path / "lock.yaml", **QUICK}
    with serving(BODY, certificate=certificate) as safe:
        assert download(f"{safe.at}/a.zip", "a.zip", **options).read_bytes() == BODY
        safe.plan = [f"to {server.at}/b.zip"]
        message = f"{safe.at}/c.zip cannot be requested: .*{server.at}/b.zip.* where it redirects"
        with pytest.raises(DownloadError, match=message):
            download(f"{safe.at}/c.zip", "c.zip", **options)
        assert server.log == []
        safe.plan = ["to /d.zip", "complete"]
        assert download(f"{safe.at}/e.zip", "e.zip", **options).read_bytes() == BODY


def test_an_untrusted_certificate_is_reported_at_once(server, certificate, tmp_path, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(BODY, certificate=certificate) as safe:
        with pytest.raises(DownloadError, match=r"https.*: .*CERTIFICATE.*; check .* certif"):
            download(f"{safe.at}/a.zip", "a.zip", lock=tmp_path / "lock.yaml", **QUICK)
        assert safe.log == []


def test_a_slow_transfer_is_aborted(fetch, server):
    began = time.monotonic()
    # 10 bytes every 0.05 s are 200 per second; 10,000 are required, measured over 0.5 s.
    message = r"failed \(Timeout: only \d+ bytes in \d+ s\), 2 times"
    with pytest.raises(DownloadError, match=message):
        fetch("slow", attempts=2)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("page", ["page", "typed page"])
def test_a_web_page_is_refused(fetch, server, page):
    with pytest.raises(DownloadError, match=r"photos\.zip is a web page \(text/"):
        fetch(page)
    assert kept() == []


# Disks


@pytest.mark.parametrize("plan", ["complete", "no length"])
def test_a_full_disk_is_reported_and_the_download_resumes_later(fetch, server, tmp_path, plan):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here; that needs root")
    try:
        os.environ["LESIONS_DOWNLOADS"] = str(folder / "cache")  # the fixture puts it back
        message = (
            r"Disk full: .*small/cache/\w+/photos\.zip\.part has \d+ of (300000|unknown) bytes, "
            r"\d+ more are free; free space and run again to resume, or set LESIONS_DOWNLOADS to an"
        )
        with pytest.raises(DownloadError, match=message):
            fetch(plan)
        assert "photos.zip" not in kept()
        # Reported before anything is written if the server states the size.
        assert ("photos.zip.part" in kept()) == (plan == "no length")
        subprocess.run(["mount", "-o", "remount,size=2m", folder], check=True)
        assert fetch("complete").read_bytes() == BODY
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_file_size_limit_is_reported_and_the_download_resumes_later(server, tmp_path):
    script = f"""
        import resource
        from pathlib import Path
        from lesions.datasets.download.cache import download
        from lesions.datasets.download.transfer import DownloadError
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            lock = Path({str(tmp_path / "lock.yaml")!r})
            download("{server.at}/photos.zip", "photos.zip", lock=lock)
        except DownloadError as error:
            print(error)
    """
    path = f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "photos.zip.part has 100000 of 300000 bytes" in done.stdout
    url = f"{server.at}/photos.zip"
    path = download(url, "photos.zip", lock=tmp_path / "lock.yaml", **QUICK)
    assert path.read_bytes() == BODY
    assert server.log[1]["range"] == "bytes=100000-"


def test_downloads_are_outside_the_repository_by_default(monkeypatch):
    monkeypatch.delenv("LESIONS_DOWNLOADS", raising=False)
    assert not cache_folder().is_relative_to(ROOT)
    assert cache_folder().name == "lesions"
