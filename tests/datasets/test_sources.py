"""Sets from every kind of source; a local server stands in for the internet."""

import hashlib
import io
import os
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter
from served import serving

from lesions.config.sets import Source
from lesions.datasets import ham10000, sources
from lesions.datasets.download.cache import cache_folder
from lesions.datasets.download.transfer import DownloadError
from lesions.datasets.ham10000 import COLUMNS, IMAGE_FOLDERS, METADATA
from lesions.datasets.image_files import find_images
from lesions.datasets.ingest import ingest_set
from lesions.datasets.metadata import read_metadata


@pytest.fixture
def ingest(tmp_path, monkeypatch):
    """Return a function that ingests a set in an empty folder, from settings as in params.yaml."""
    monkeypatch.setenv("LESIONS_DOWNLOADS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")

    def run(kind, *, path="data/source", codes=ham10000.CODES, **settings):
        if kind not in ("synthetic", "medmnist"):
            settings = {"extra_images": "refuse"} | settings
        source = TypeAdapter(Source).validate_python({"kind": kind, "path": path} | settings)
        settings = source.model_dump(exclude={"path"})
        raw = Path("data/raw")
        ingest_set(raw, name="study", codes=codes, path=Path(path), **settings)
        return raw

    return run


def packed(folder):
    """Return a zip archive of a folder's photographs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder).as_posix())
    return content.getvalue()


def assert_same_photographs(raw, world):
    """The photographs of `world`, and nothing besides them and their metadata."""
    assert {name: (raw / path).read_bytes() for name, path in find_images(raw).items()} == {
        path.stem: path.read_bytes() for path in world.rglob("*.jpg")
    }
    table = read_metadata(raw / METADATA)[list(COLUMNS)]
    pd.testing.assert_frame_equal(table, read_metadata(world / METADATA)[list(COLUMNS)])
    assert {path.name for path in raw.iterdir()} == {METADATA, *IMAGE_FOLDERS, "excluded.csv"}
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def as_dataverse(world):
    """Return Dataverse's three files by the end of their URLs: zips, and tabs in quotes."""
    metadata = pd.read_csv(world / METADATA, dtype=str, keep_default_na=False)
    tabs = metadata.assign(dataset="vidir_modern").to_csv(index=False, sep="\t", quoting=2)
    first, second = (packed(world / folder) for folder in IMAGE_FOLDERS)
    return {"/3172585": first, "/3172584": second, "/4338392": tabs.encode()}


@pytest.fixture
def dataverse(small_world, monkeypatch):
    """Serve HAM10000's files of Dataverse from this machine."""
    with serving(b"") as server:
        server.bodies = as_dataverse(small_world)
        files = {
            dataset: {
                name: (url.replace(ham10000.DATAVERSE, f"{server.at}/"), sha256)
                for name, (url, sha256) in published.items()
            }
            for dataset, published in ham10000.DATAVERSE_FILES.items()
        }
        monkeypatch.setattr(sources, "DATAVERSE_FILES", files)
        yield server


def test_dataverses_files_are_downloaded_and_ingested(ingest, dataverse, small_world):
    raw = ingest("dataverse", dataset="ham10000")
    assert_same_photographs(raw, small_world)
    assert set(read_metadata(raw / METADATA)["dataset"]) == {"vidir_modern"}
    folders = [path.partition("/")[0] for path in find_images(raw).values()]
    # 90 photographs, half of them in each folder.
    assert [folders.count(folder) for folder in IMAGE_FOLDERS] == [45, 45]
    lock = yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8"))
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in dataverse.bodies.items()}
    assert lock == {f"{dataverse.at}{name}": sums[name] for name in sums}


def test_another_clone_downloads_nothing_again(ingest, dataverse, small_world):
    ingest("dataverse", dataset="ham10000")
    n_requests = len(dataverse.log)
    assert n_requests == 3
    Path("data.lock.yaml").unlink()  # the other clone has none
    assert_same_photographs(ingest("dataverse", dataset="ham10000"), small_world)
    assert len(dataverse.log) == n_requests


def test_a_file_that_changed_since_the_first_download_is_refused(ingest, dataverse):
    ingest("dataverse", dataset="ham10000")
    for path in cache_folder().rglob("*.zip"):
        path.unlink()
    dataverse.bodies["/3172585"] = dataverse.bodies["/3172584"]
    with pytest.raises(DownloadError, match=r"3172585, compared with data\.lock\.yaml: "):
        ingest("dataverse", dataset="ham10000")


def test_a_missing_photograph_names_the_setting_and_leaves_nothing(ingest, dataverse):
    dataverse.bodies["/3172585"] = dataverse.bodies["/3172584"].replace(b"DEMO_", b"DEMU_")
    message = r"have no file, first DEMO_\d+; look in sets\.study\.source\.dataset, or"
    with pytest.raises(ValueError, match=message):
        ingest("dataverse", dataset="ham10000")
    assert list(Path("data").iterdir()) == []


def test_the_test_images_of_isic_2018_are_downloaded_and_ingested(ingest, dataverse, small_world):
    truth = pd.read_csv(small_world / METADATA)[["image_id", "dx"]]
    one_hot = pd.get_dummies(truth["dx"].str.upper(), dtype=float).assign(image=truth["image_id"])
    columns = ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    tabs = one_hot[columns].to_csv(index=False, sep="\t").encode()
    dataverse.bodies |= {"/3855824": packed(small_world), "/6924466": tabs}
    raw = ingest("dataverse", dataset="isic2018_test")
    assert len(find_images(raw)) == 90
    read = read_metadata(raw / METADATA).set_index("image_id")["dx"]
    assert read.to_dict() == truth.set_index("image_id")["dx"].to_dict()
    dataverse.plan = ["404"]
    shutil.rmtree(cache_folder())
    with pytest.raises(DownloadError, match=r"3855824 failed \(404 Not Found\)"):
        ingest("dataverse", dataset="isic2018_test")
    assert len(find_images(raw)) == 90


def test_files_at_urls_of_the_user_are_downloaded(ingest, small_world):
    with serving(b"") as server:
        metadata = (small_world / METADATA).read_bytes()
        server.bodies = {"/in/photographs.zip": packed(small_world), f"/{METADATA}": metadata}
        known = hashlib.sha256(metadata).hexdigest()
        files = [
            {"url": f"{server.at}/in/photographs.zip", "sha256": None},
            {"url": f"{server.at}/{METADATA}", "sha256": known},
        ]
        assert_same_photographs(ingest("url", files=files), small_world)
        assert list(yaml.safe_load(Path("data.lock.yaml").read_text(encoding="utf-8"))) == [
            files[0]["url"]
        ]


def test_a_wrong_first_download_is_refused_with_how_to_replace_it(ingest, small_world):
    with serving(b"no archive") as server:
        metadata = (small_world / METADATA).read_bytes()
        server.bodies = {f"/{METADATA}": metadata}
        urls = [f"{server.at}/a.zip", f"{server.at}/{METADATA}"]
        files = [{"url": url, "sha256": None} for url in urls]
        message = r"archive .*a\.zip .* The files were downloaded to .*cache; .* its line in data"
        with pytest.raises(ValueError, match=message):
            ingest("url", files=files)
        server.bodies["/a.zip"] = packed(small_world)
        shutil.rmtree(cache_folder())
        Path("data.lock.yaml").unlink()
        assert_same_photographs(ingest("url", files=files), small_world)


def test_dermamnists_arrays_are_ingested(ingest, tmp_path):
    made = {}
    for partition, n in (("train", 14), ("val", 7), ("test", 7)):
        made[f"{partition}_images"] = np.full((n, 28, 28, 3), 90, np.uint8)
        made[f"{partition}_labels"] = np.arange(n).reshape(-1, 1) % 7
    np.savez(tmp_path / "dermamnist.npz", **made)
    raw = ingest("medmnist", path=str(tmp_path))
    assert len(find_images(raw)) == 28
    counts = read_metadata(raw / METADATA)["partition"].value_counts().to_dict()
    assert counts == {"train": 14, "val": 7, "test": 7}
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def test_missing_arrays_name_the_setting(ingest, tmp_path):
    message = r"set sets\.study\.source\.path to one, downloaded from medmnist\.com"
    with pytest.raises(ValueError, match=message):
        ingest("medmnist", path=str(tmp_path))
    assert list(Path("data").iterdir()) == []


def test_synthetic_photographs_replace_what_was_there(ingest):
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/old").touch()
    raw = ingest("synthetic", n_images=60, seed=1)
    assert len(find_images(raw)) == len(read_metadata(raw / METADATA)) == 60
    assert {path.name for path in raw.iterdir()} == {METADATA, *IMAGE_FOLDERS, "excluded.csv"}
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def test_synthetic_photographs_of_some_diagnoses_are_drawn_and_mapped(ingest):
    mapped = {"nv": "benign", "mel": "malignant", "bcc": "malignant"}
    raw = ingest("synthetic", n_images=60, seed=1, codes=("benign", "malignant"), map=mapped)
    table = read_metadata(raw / METADATA, codes=("benign", "malignant"))
    assert len(table) == len(find_images(raw)) == 60
    assert table["dx"].tolist() == [mapped[dx] for dx in table["diagnosis"]]
    assert set(table["diagnosis"]) == set(mapped)
    assert (raw / "excluded.csv").read_text(encoding="utf-8") == "value,n_images\n"


def test_diagnoses_of_dermamnist_can_be_left_out(ingest, tmp_path):
    made = {}
    for partition, n in (("train", 14), ("val", 7), ("test", 7)):
        made[f"{partition}_images"] = np.full((n, 28, 28, 3), 90, np.uint8)
        made[f"{partition}_labels"] = np.arange(n).reshape(-1, 1) % 7
    np.savez(tmp_path / "dermamnist.npz", **made)
    raw = ingest("medmnist", path=str(tmp_path), codes=ham10000.CODES[:6], exclude=["vasc"])
    assert len(find_images(raw)) == 24  # of 28, four are vasc
    assert (raw / "excluded.csv").read_text(encoding="utf-8") == "value,n_images\nvasc,4\n"


def test_a_folder_is_ingested_and_extra_images_are_refused_or_ignored(
    ingest, small_world, tmp_path
):
    source = shutil.copytree(small_world, tmp_path / "source")
    assert_same_photographs(ingest("folder", path=str(source)), small_world)
    shutil.copy(min(source.rglob("*.jpg")), source / "extra.jpg")
    message = r"first extra\.jpg; .* set sets\.study\.source\.extra_images to ignore"
    with pytest.raises(ValueError, match=message):
        ingest("folder", path=str(source))
    raw = ingest("folder", path=str(source), extra_images="ignore")
    assert_same_photographs(raw, small_world)


# Kaggle, with a fake of its client, kagglehub


@pytest.fixture
def kagglehub(small_world, monkeypatch):
    """Install a kagglehub that caches the small world as Kaggle has HAM10000: every image twice."""
    module = types.ModuleType("kagglehub")
    module.requests, module.metadata = [], True

    def dataset_download(handle):
        module.requests.append(handle)
        folder = Path(os.environ["KAGGLEHUB_CACHE"], "datasets", handle)
        for name in IMAGE_FOLDERS:
            for copy in (name, name.lower()):
                shutil.copytree(small_world / name, folder / copy, dirs_exist_ok=True)
        if module.metadata:
            shutil.copy(small_world / METADATA, folder)
        (folder / "hmnist_28_28_L.csv").write_text("pixel0000\n1\n", encoding="utf-8")
        return str(folder)

    module.dataset_download = dataset_download
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setenv("KAGGLEHUB_CACHE", "")  # so that it is restored
    monkeypatch.delenv("KAGGLEHUB_CACHE")
    return module


def test_kaggles_dataset_gives_every_photograph_once(ingest, kagglehub, small_world):
    assert_same_photographs(ingest("kaggle"), small_world)
    assert len(list(cache_folder().rglob("*.jpg"))) == 2 * 90
    # A published version never changes.
    assert kagglehub.requests == ["kmader/skin-cancer-mnist-ham10000/versions/2"]


def test_a_cache_of_kagglehub_that_is_set_is_used(
    ingest, kagglehub, small_world, monkeypatch, tmp_path
):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    assert_same_photographs(ingest("kaggle"), small_world)
    assert len(list((tmp_path / "hub").rglob("*.jpg"))) == 2 * 90
    assert not cache_folder().exists()


def test_a_kaggle_dataset_without_metadata_is_refused(ingest, kagglehub):
    kagglehub.metadata = False
    with pytest.raises(ValueError, match=r"No metadata in .*; correct sets\.study\.source\.kind"):
        ingest("kaggle")
    assert list(Path("data").iterdir()) == []


def test_without_kagglehub_the_alternatives_are_named(ingest, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # so that importing it fails
    message = r"run '\.venv/bin/pip install kagglehub', or use kind `dataverse`"
    with pytest.raises(ValueError, match=message):
        ingest("kaggle")
    assert list(Path("data").iterdir()) == []


def test_what_kagglehub_reports_is_passed_on(ingest, kagglehub, monkeypatch):
    def fail(handle):
        raise OSError(f"403 Client Error. You don't have permission to access {handle}")

    monkeypatch.setattr(kagglehub, "dataset_download", fail)
    message = r"failed: 403 Client Error\. .*; check your key \(https.*\) and .* `dataverse`"
    with pytest.raises(ValueError, match=message):
        ingest("kaggle")
    assert list(Path("data").iterdir()) == []
