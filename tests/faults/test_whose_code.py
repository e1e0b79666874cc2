"""A run uses the code of its own checkout: in a queued experiment, a worktree and a submodule.

`lesions` is installed from this checkout, as an editable install is from a user's. The clones have
other code, and nothing but dvc.yaml says where it is.
"""

import json
import re
import time

import pytest
from faults_study import make_tiny, open_clone

pytestmark = pytest.mark.slow
MODULE = "src/lesions/evaluation/images/metadata.py"
DETAILS = "evaluation/study/cnn/details.json"
PARTITIONS = "plots/partitions/study.csv"
ORIGINAL, EDITED = "lesions, within each diagnosis", "edited, within each diagnosis"


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone with one model, after its first run."""
    clone.edit(make_tiny)
    clone.edit(lambda params: params.update(backbones={}, models={"cnn": params["models"]["cnn"]}))
    clone.repro()
    clone.commit("reproduced")
    return clone


def edit_code(folder):
    module = folder / MODULE
    text = module.read_text(encoding="utf-8")
    assert ORIGINAL in text
    module.write_text(text.replace(ORIGINAL, EDITED), encoding="utf-8")


def show(clone, name, path):
    """Return a file as an experiment left it."""
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    ref = next(ref for ref in refs if ref.endswith(f"/{name}"))
    return clone.run("git", "show", f"{ref}:{path}")


def wait_for_experiments(clone):
    """Wait until both experiments have ended, and return their states."""
    for _ in range(800):
        listed = clone.run("dvc", "queue", "status")
        states = re.findall(r"(?:before|after)\b.*(Success|Failed)", listed)
        if len(states) == 2:
            return states
        time.sleep(0.5)
    raise AssertionError(listed)


def test_queued_experiments_run_side_by_side_each_with_the_code_that_was_queued(reproduced):
    edit_code(reproduced.folder)
    reproduced.run("dvc", "exp", "run", "--queue", "--name", "before", installed=True)
    reproduced.run("git", "checkout", "--quiet", ".")
    change = "evaluate.decimals=3"
    reproduced.run("dvc", "exp", "run", "--queue", "--name", "after", "-S", change, installed=True)
    edit_code(reproduced.folder)
    reproduced.run("dvc", "queue", "start", "--jobs", "2", installed=True)
    assert wait_for_experiments(reproduced) == ["Success", "Success"]
    reproduced.run("git", "checkout", "--quiet", ".")
    for name, expected in (("before", EDITED), ("after", ORIGINAL)):
        assert expected in show(reproduced, name, MODULE)
        assert expected in show(reproduced, name, DETAILS)
        partitions = (reproduced.folder / PARTITIONS).read_text(encoding="utf-8")
        assert show(reproduced, name, PARTITIONS) == partitions
    scores = json.loads(show(reproduced, "after", "metrics/cnn.json"))
    assert {name: round(score, 3) for name, score in scores.items()} == scores
    # DVC does not restore the experiments' outputs from its cache for the committed code.
    assert reproduced.repro("--force", "evaluate@cnn-study")
    assert ORIGINAL in (reproduced.folder / DETAILS).read_text(encoding="utf-8")
    assert reproduced.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize(("kind", "shell"), [("worktree", "/bin/bash"), ("submodule", "/bin/dash")])
def test_a_worktree_or_submodule_runs_its_own_code(reproduced, tmp_path, kind, shell):
    folder = tmp_path / "a name with spaces" / "study"
    origin = str(reproduced.folder)
    if kind == "worktree":
        reproduced.run("git", "worktree", "add", "--quiet", "--detach", str(folder))
    else:
        allow = ("-c", "protocol.file.allow=always")
        reproduced.run("git", "init", "--quiet", str(folder.parent))
        outer = ("-C", str(folder.parent))
        reproduced.run("git", *outer, *allow, "submodule", "--quiet", "add", origin, "study")
    edit_code(folder)
    own = open_clone(folder)
    own.run("dvc", "cache", "dir", "--local", f"{origin}/.dvc/cache")
    own.run("dvc", "checkout", "--quiet", "--allow-missing")
    own.run("dvc", "repro", installed=True, SHELL=shell)
    assert EDITED in (folder / DETAILS).read_text(encoding="utf-8")
    assert ORIGINAL in (reproduced.folder / DETAILS).read_text(encoding="utf-8")
