"""A small world of some sixty lesions of all seven diagnoses, and a clone of this repository."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from cloned import ROOT, Clone

from lesions.datasets.synthetic.dataset import write_dataset

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


# The files that take longest, the longest first.
LONG = ("test_pipeline", "test_pipeline_edits", "test_kills", "test_whose_code")
LONG += ("test_contributing", "test_soak")


def pytest_collection_modifyitems(items):
    """Put the longest files first: a worker takes whole files in order."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def shared():
    """Return a function from names in the optional folder of real data to paths; it may skip."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            top = name.partition("/")[0]
            pytest.skip(f"{path} is missing; LESIONS_SHARED names the folder that holds {top}")
        return path

    return find


@pytest.fixture(scope="module")
def browser():
    """Start the Chromium that is installed; skip if there is none."""
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
    write_dataset(folder, n_images=90, seed=1)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of two models, with settings so small that the whole pipeline takes a minute."""

    def make_small(params):
        params["sets"] = {"study": params["sets"]["study"]}
        params["sets"]["study"]["source"].update(n_images=90, seed=1)
        params["audit"].update(method="pixels")
        params["balance"].update(n_neighbors=3)
        params["evaluate"].update(n_resamples=100)
        params["backbones"] = {"vgg16": params["backbones"]["vgg16"]}
        models = {name: params["models"][name] for name in ("cnn", "vgg16")}
        models["cnn"].update(filters=[4, 4], dense_units=[8], epochs=2, keep_epoch="last")
        models["vgg16"].update(dense_units=[8], epochs=2, keep_epoch="last")
        params["models"] = models

    made = Clone(tmp_path_factory.mktemp("clone"))
    made.edit(make_small)
    outputs = ("dvc.lock", "metrics", "plots", "predictions", "evaluation")
    made.run("git", "rm", "-rq", "--ignore-unmatch", *outputs)
    made.commit("small")
    return made
