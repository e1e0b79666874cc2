"""The stage `ingest` on every source that is not a folder; a server of ours is the network."""

import hashlib
import io
import runpy
import shlex
import shutil
import sys
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from served import serve, serving

from lesions import sources
from lesions.cache import DownloadError, cache_folder
from lesions.folder import find_images
from lesions.ingestion import ingest_folder
from lesions.kaggle_client import download_archive
from lesions.metadata import read_metadata
from lesions.taxonomy import COLUMNS, METADATA, PARTS

ROOT = Path(__file__).parents[1]
COMMAND = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["ingest"]["cmd"]


@pytest.fixture
def ingest(tmp_path, monkeypatch):
    """Run the stage in an empty folder, with other settings in the section `data`."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")

    def run(**data):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["data"].update(data)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        words = shlex.split(COMMAND.replace("${data.path}", params["data"]["path"]))
        monkeypatch.setattr(sys, "argv", words[2:])
        runpy.run_path(str(ROOT / words[2]), run_name="__main__")
        return Path("data/raw")

    return run


def packed(folder, *, doubles=False, metadata=False):
    """A zip archive of a folder's photographs, and of what Kaggle's has besides."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            name = path.relative_to(folder).as_posix()
            for name_too in [name, *[name.replace("HAM", "ham")] * doubles]:
                archive.writestr(name_too, path.read_bytes())
        if metadata:
            archive.write(folder / METADATA, METADATA)
            archive.writestr("hmnist_28_28_L.csv", "pixel0000\n1\n")
    return content.getvalue()


def assert_same_photographs(raw, world):
    """The photographs of `world`, and nothing besides them and their metadata."""
    assert {name: (raw / path).read_bytes() for name, path in find_images(raw).items()} == {
        path.stem: path.read_bytes() for path in world.rglob("*.jpg")
    }
    table = read_metadata(raw / METADATA)[list(COLUMNS)]
    pd.testing.assert_frame_equal(table, read_metadata(world / METADATA)[list(COLUMNS)])
    assert sorted(path.name for path in raw.iterdir()) == sorted([METADATA, *PARTS])
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def as_dataverse(world):
    """The three files of Dataverse, by the end of their addresses: zips, and tabs in quotes."""
    metadata = pd.read_csv(world / METADATA, dtype=str, keep_default_na=False)
    tabs = metadata.assign(dataset="vidir_modern").to_csv(index=False, sep="\t", quoting=2)
    zips = {
        f"/{number}": packed_part(world / part)
        for part, number in zip(PARTS, ("3172585", "3172584"), strict=True)
    }
    return zips | {"/4338392": tabs.encode()}


def as_isics(one_hot):
    columns = ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    return one_hot[columns].to_csv(index=False, sep="\t").encode()


def packed_part(part):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(part.iterdir()):
            archive.write(path, path.name)
    return content.getvalue()


@pytest.fixture
def dataverse(small_world, monkeypatch):
    with serving(b"") as server:
        server.bodies = as_dataverse(small_world)
        addresses = {
            name: (url.replace(sources.DATAVERSE, f"{server.at}/"), None)
            for name, (url, _) in sources.HAM10000.items()
        }
        monkeypatch.setattr(sources, "HAM10000", addresses)
        yield server


def test_dataverses_files_are_downloaded_and_brought_in(ingest, dataverse, small_world):
    raw = ingest(source="dataverse")
    assert_same_photographs(raw, small_world)
    assert set(read_metadata(raw / METADATA)["dataset"]) == {"vidir_modern"}
    parts = [path.partition("/")[0] for path in find_images(raw).values()]
    # 90 photographs, half of them in each part.
    assert (parts.count(PARTS[0]), parts.count(PARTS[1])) == (45, 45)
    lock = yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8"))
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in dataverse.bodies.items()}
    assert lock == {f"{dataverse.at}{name}": sums[name] for name in sums}


def test_another_clone_downloads_nothing_again(ingest, dataverse, small_world, tmp_path):
    ingest(source="dataverse")
    n_requests = len(dataverse.log)
    assert n_requests == 3
    Path("data.lock.yaml").unlink()  # the other clone has none
    assert_same_photographs(ingest(source="dataverse"), small_world)
    assert len(dataverse.log) == n_requests


def test_what_was_changed_since_the_first_download_is_refused(ingest, dataverse, tmp_path):
    ingest(source="dataverse")
    for path in cache_folder().rglob("*.zip"):
        path.unlink()
    dataverse.bodies["/3172585"] = dataverse.bodies["/3172584"]
    with pytest.raises(DownloadError, match=r"3172585: .* compared with data\.lock\.yaml"):
        ingest(source="dataverse")


def test_a_missing_photograph_names_the_setting_and_leaves_nothing(ingest, dataverse):
    dataverse.bodies["/3172585"] = dataverse.bodies["/3172584"].replace(b"DEMO_", b"DEMU_")
    with pytest.raises(ValueError, match=r"have no file, first DEMO_\d+; look in data\.source or"):
        ingest(source="dataverse")
    assert list(Path("data").iterdir()) == []


def test_isics_test_photographs_become_a_folder_for_external(
    dataverse, small_world, tmp_path, monkeypatch, capsys
):
    truth = pd.read_csv(small_world / METADATA)[["image_id", "dx"]]
    one_hot = pd.get_dummies(truth["dx"].str.upper(), dtype=float).assign(image=truth["image_id"])
    dataverse.bodies |= {"/3855824": packed(small_world), "/6924466": as_isics(one_hot)}
    addresses = {
        name: (url.replace(sources.DATAVERSE, f"{dataverse.at}/"), None)
        for name, (url, _) in sources.ISIC_2018.items()
    }
    monkeypatch.setattr(sources, "ISIC_2018", addresses)
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    command = ["tools/isic2018.py", "data/isic2018"]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(ROOT / command[0]), run_name="__main__")
    assert "external: {isic2018: data/isic2018}" in capsys.readouterr().out
    ingest_folder("data/isic2018", "raw")
    assert len(find_images("raw")) == 90
    read = read_metadata(Path("raw") / METADATA).set_index("image_id")["dx"]
    assert read.to_dict() == truth.set_index("image_id")["dx"].to_dict()
    dataverse.plan = ["404"]
    shutil.rmtree(cache_folder())
    with pytest.raises(SystemExit, match=r"3855824 must be there; the server says 404"):
        runpy.run_path(str(ROOT / command[0]), run_name="__main__")
    assert len(list(Path("data/isic2018").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "found"), [((), "none"), (("a", "b"), "a b"), (("--help",), "--help")]
)
def test_isics_test_photographs_want_one_folder(monkeypatch, tmp_path, words, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tools/isic2018.py", *words])
    message = f"^One folder must be named, .* found {found}; run 'python tools/isic2018.py data/isi"
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(ROOT / "tools/isic2018.py"), run_name="__main__")
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_addresses_are_downloaded(ingest, small_world):
    with serving(b"") as server:
        metadata = (small_world / METADATA).read_bytes()
        server.bodies = {"/in/photographs.zip": packed(small_world), f"/{METADATA}": metadata}
        known = hashlib.sha256(metadata).hexdigest()
        files = [
            {"url": f"{server.at}/in/photographs.zip", "sha256": None},
            {"url": f"{server.at}/{METADATA}", "sha256": known},
        ]
        assert_same_photographs(ingest(source="url", files=files), small_world)
        assert list(yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8"))) == [
            files[0]["url"]
        ]


def test_how_to_get_another_is_said_of_a_download_that_was_wrong_at_first(ingest, small_world):
    with serving(b"no archive") as server:
        metadata = (small_world / METADATA).read_bytes()
        server.bodies = {f"/{METADATA}": metadata}
        urls = [f"{server.at}/a.zip", f"{server.at}/{METADATA}"]
        files = [{"url": url, "sha256": None} for url in urls]
        message = (
            r"a\.zip .* cannot be read: .* The files were downloaded to .*cache; .* line in data"
        )
        with pytest.raises(ValueError, match=message):
            ingest(source="url", files=files)
        server.bodies["/a.zip"] = packed(small_world)
        shutil.rmtree(cache_folder())
        Path("data.lock.yaml").unlink()
        assert_same_photographs(ingest(source="url", files=files), small_world)


def test_dermamnists_arrays_are_brought_in(ingest, tmp_path):
    made = {}
    for partition, n in (("train", 14), ("val", 7), ("test", 7)):
        made[f"{partition}_images"] = np.full((n, 28, 28, 3), 90, np.uint8)
        made[f"{partition}_labels"] = np.arange(n).reshape(-1, 1) % 7
    np.savez(tmp_path / "dermamnist.npz", **made)
    raw = ingest(source="medmnist", path=str(tmp_path))
    assert len(find_images(raw)) == 28
    counts = read_metadata(raw / METADATA)["partition"].value_counts().to_dict()
    assert counts == {"train": 14, "val": 7, "test": 7}
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


# Kaggle


def test_kaggles_archive_gives_every_photograph_once(small_world, tmp_path):
    (tmp_path / "kaggle").mkdir()
    archive = tmp_path / "kaggle" / "skin.zip"
    archive.write_bytes(packed(small_world, doubles=True, metadata=True))
    (tmp_path / "out").mkdir()
    sources.unpack_kaggles(archive, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([METADATA, *PARTS])
    assert {p.relative_to(small_world) for p in small_world.rglob("*.jpg")} == {
        p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.jpg")
    }


def test_an_archive_without_metadata_is_refused(small_world, tmp_path):
    (tmp_path / "skin.zip").write_bytes(packed(small_world, doubles=True))
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"must hold one HAM10000_metadata\.csv .* holds none"):
        sources.unpack_kaggles(tmp_path / "skin.zip", tmp_path / "out")


def test_without_kaggles_client_the_ways_out_are_named(ingest, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaggle", None)  # so that importing it fails
    message = r"not installed; run '\.venv/bin/pip install kaggle'\. Or .* set data\.source: datav"
    with pytest.raises(ValueError, match=message):
        ingest(source="kaggle")
    assert list(Path("data").iterdir()) == []


def test_without_a_key_it_is_said_where_to_get_one(tmp_path, monkeypatch):
    pytest.importorskip("kaggle", reason="Kaggle's client is not installed; nothing needs it")
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"needs your key; there is none: make one at https://www"):
        download_archive("a/b", tmp_path / "kaggle")


class Kaggle(BaseHTTPRequestHandler):
    """Answers as Kaggle's server does, as far as its client asks."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.log.append(self.path)
        if self.server.body is None:
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", len(self.server.body))
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """Let the real client, with a key, ask a server of ours."""
    pytest.importorskip("kaggle", reason="Kaggle's client is not installed; nothing needs it")
    environment = pytest.importorskip("kagglesdk.kaggle_env")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "0" * 32)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    with serve(Kaggle) as server:
        addresses = {environment.KaggleEnv.PROD: server.at}
        monkeypatch.setattr(environment, "_env_to_endpoint", addresses)
        yield server


def test_kaggles_client_downloads_once(ingest, kaggle, small_world):
    kaggle.body = packed(small_world, doubles=True, metadata=True)
    assert_same_photographs(ingest(source="kaggle"), small_world)
    assert_same_photographs(ingest(source="kaggle"), small_world)
    assert kaggle.log == ["/v1/datasets.DatasetApiService/DownloadDataset"]


def test_another_archive_than_the_known_one_is_refused(ingest, small_world):
    archive = cache_folder() / "kaggle/skin-cancer-mnist-ham10000.zip"
    archive.parent.mkdir(parents=True)
    body = packed(small_world, doubles=True, metadata=True)
    archive.write_bytes(body)
    assert_same_photographs(ingest(source="kaggle"), small_world)
    address = "https://www.kaggle.com/datasets/kmader/skin-cancer-mnist-ham10000"
    known = {address: hashlib.sha256(body).hexdigest()}
    assert yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8")) == known
    archive.write_bytes(packed(small_world, metadata=True))
    with pytest.raises(DownloadError, match=rf"{address}, has .* says {known[address]}: delete it"):
        ingest(source="kaggle")
    assert yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8")) == known


def test_what_kaggles_client_says_is_told(ingest, kaggle):
    kaggle.body = None
    with pytest.raises(ValueError, match=r"client says: .*403.* See that the key is valid"):
        ingest(source="kaggle")
    kaggle.body = b"half an archive"
    with pytest.raises(ValueError, match=r"must arrive whole; .*ham10000\.zip is no whole zip"):
        ingest(source="kaggle")
    assert not (cache_folder() / "kaggle").exists()
