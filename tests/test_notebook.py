"""The notebook: committed without outputs, and run as it is in a fresh clone."""

import json
import shutil
import subprocess
import sys

import pytest
from cloned import ROOT, Clone

from lesions.app.formats import DISCLAIMER

NOTEBOOK = "notebooks/study.ipynb"
RAW = "data/sets/study/raw"


def test_the_committed_notebook_has_no_outputs():
    """That of the working tree may have those of whoever ran it."""
    staged = ["git", "show", f":./{NOTEBOOK}"]
    text = subprocess.run(
        staged, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A clone in which nothing has been run."""
    return Clone(tmp_path_factory.mktemp("fresh") / "clone")


def execute(clone, tmp_path):
    """Run the notebook with nbclient's command; return what is printed, shown and drawn."""
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
    users = {name: str(tmp_path / name) for name in folders}
    # Stages set another one, also in the process of a test that imports them.
    users["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    clone.run("jupyter", "execute", "--output", str(tmp_path / "run.ipynb"), NOTEBOOK, **users)
    run = json.loads((tmp_path / "run.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in run["cells"] for output in cell.get("outputs", [])]
    data = [output["data"] for output in outputs if "data" in output]
    printed = "".join("".join(output["text"]) for output in outputs if "text" in output)
    shown = "".join("".join(item.get("text/plain", "")) for item in data)
    return printed, shown, [item["image/png"] for item in data if "image/png" in item]


def test_in_a_fresh_clone_it_shows_the_scores_and_predicts_a_synthetic_photograph(fresh, tmp_path):
    assert not (fresh.folder / RAW).exists()
    printed, shown, figures = execute(fresh, tmp_path)
    for file in (fresh.folder / "metrics").rglob("*.json"):
        scores = json.loads(file.read_text(encoding="utf-8"))
        assert file.name in shown
        assert f"{scores['accuracy']:.4f}" in shown
    assert len(figures) == 5  # scores, curves, confusion, reliability, explanation
    assert DISCLAIMER in printed
    assert "\nsynthetic photograph  nv " in printed
    assert fresh.run("git", "status", "--porcelain") == ""


def test_it_predicts_a_photograph_as_the_command_does(fresh, small_world, tmp_path):
    shutil.copytree(small_world, fresh.folder / RAW)
    printed, _, _ = execute(fresh, tmp_path)
    photo = min((fresh.folder / RAW).rglob("*.jpg")).relative_to(fresh.folder)
    command = f"cd notebooks && {sys.executable} -m lesions.app predict ../{photo.as_posix()}"
    line = fresh.run("bash", "-c", command).splitlines()[0]
    assert line.startswith("../data/")
    assert line in printed.splitlines()
