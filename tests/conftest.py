"""A small world: some sixty lesions of all seven kinds, and a clone of this repository on it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lesions.demo import write_demo

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("LESIONS_SHARED", ROOT / ".." / "shared")).resolve()

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


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    """A folder in HAM10000's layout, seven diagnoses, several lesions with several photographs."""
    folder = tmp_path_factory.mktemp("small_world")
    write_demo(folder, n_images=90, seed=1)
    return folder


class Clone:
    """A copy of this repository's files, as they are now, with a Git history of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet", "--initial-branch", "main")
        self.commit("as it is")

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command in the clone, on the clone's own code; give what it printed."""
        names = ("AUTHOR_NAME", "COMMITTER_NAME", "AUTHOR_EMAIL", "COMMITTER_EMAIL")
        environment = os.environ | {f"GIT_{name}": "tests@localhost" for name in names}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment["PYTHONPATH"] = str(self.folder / "src")
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        printed = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{printed}"
        return printed

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def repro(self, *flags: str) -> list[str]:
        """Run `dvc repro`; give the stages that ran, in order."""
        printed = self.run("dvc", "repro", *flags)
        return [
            line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")
        ]

    def edit(self, change) -> None:
        """Let `change` alter the mapping that params.yaml holds."""
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text())
        change(params)
        file.write_text(yaml.safe_dump(params, sort_keys=False))


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
        cnn |= shared | {"standardise": False, "head": {"filters": [4, 4]} | shared["head"]}
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
