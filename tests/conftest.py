"""A small world: some sixty lesions of all seven kinds, and a clone of this repository on it."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from cloned import ROOT, Clone

from lesions.demo import write_demo

SHARED = Path(os.environ.get("LESIONS_SHARED", ROOT / ".." / "shared")).resolve()

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A shell ignores Ctrl-C in what it starts in the background, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Put the pipeline first: its files take longest, and a worker takes whole files in order."""
    items.sort(key=lambda item: not item.path.name.startswith("test_pipeline"))


@pytest.fixture(scope="session")
def shared():
    """Give the path of a name in the optional folder of real data; skip where it is not there."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            top = name.partition("/")[0]
            pytest.skip(f"{path} is not there; LESIONS_SHARED names the folder above {top}")
        return path

    return find


@pytest.fixture(scope="module")
def browser():
    """Give the Chromium that is installed, started; skip where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    """A folder in HAM10000's layout, seven diagnoses, several lesions with several photographs."""
    folder = tmp_path_factory.mktemp("small_world")
    write_demo(folder, n_images=90, seed=1)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of two models, with settings so small that the whole pipeline takes a minute."""

    def make_small(params):
        params["data"].update(source="demo", path="data/source", n_images=90, seed=1)
        params["balance"].update(method="adasyn", n_neighbors=3)
        params["split"].update(by="group", test_size=0.2, val_size=0.1, cal_size=0.1)
        params["evaluate"].update(n_resamples=100)
        shared = {
            "input_size": 32,
            "head": {"dense_units": [8], "dropout": 0.3},
            "learning_rate": 0.001,
            "batch_size": 32,
            "epochs": 2,
            "keep_epoch": "val_loss",
        }
        cnn = {"architecture": "cnn", "backbone": None, "preprocessing": "unit"}
        cnn |= shared | {
            "standardise": False,
            "head": {"filters": [4, 4], "batch_norm_momentum": 0.9} | shared["head"],
        }
        backbone = {"weights": "random", "pooling": "flatten"}
        vgg16 = {"architecture": "vgg16", "backbone": backbone, "preprocessing": "imagenet"}
        params["models"] = {
            "cnn": cnn,
            "vgg16": vgg16 | shared | {"standardise": True, "keep_epoch": "last"},
        }

    made = Clone(tmp_path_factory.mktemp("clone"))
    made.edit(make_small)
    made.run("git", "rm", "-rq", "--ignore-unmatch", "dvc.lock", "metrics", "plots", "predictions")
    made.commit("small")
    return made
