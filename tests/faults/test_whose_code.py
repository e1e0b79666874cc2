"""A run's result is of its own checkout's code: in the queue, in worktrees, in submodules.

`lesions` is installed from this checkout, as an editable install is from the user's workspace. The
clones have other code; nothing but dvc.yaml says where it is.
"""

import pytest
from cloned import Clone

pytestmark = pytest.mark.slow
MODULE = "src/lesions/evaluation.py"
DETAILS = "metrics/details/cnn.json"
WORDS, EDITED = "lesions, within each diagnosis", "edited, within each diagnosis"


@pytest.fixture(scope="module")
def reproduced(clone):
    """Give the clone of one model, after its first run."""
    clone.edit(lambda params: params["models"].pop("vgg16"))
    clone.repro()
    clone.commit("reproduced")
    return clone


def edit(folder):
    module = folder / MODULE
    text = module.read_text(encoding="utf-8")
    assert WORDS in text
    module.write_text(text.replace(WORDS, EDITED), encoding="utf-8")


def show(clone, name, path):
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    ref = next(ref for ref in refs if ref.endswith(f"/{name}"))
    return clone.run("git", "show", f"{ref}:{path}")


def test_a_queued_experiment_runs_the_code_that_was_queued(reproduced):
    edit(reproduced.folder)
    reproduced.run("dvc", "exp", "run", "--queue", "--name", "before", installed=True)
    reproduced.run("git", "checkout", "--quiet", ".")
    change = "evaluate.decimals=3"
    reproduced.run("dvc", "exp", "run", "--queue", "--name", "after", "-S", change, installed=True)
    edit(reproduced.folder)
    reproduced.run("dvc", "queue", "start", installed=True)
    reproduced.run("dvc", "queue", "logs", "--follow", "after", installed=True)
    reproduced.run("git", "checkout", "--quiet", ".")
    for name, expected in (("before", EDITED), ("after", WORDS)):
        assert expected in show(reproduced, name, MODULE)
        assert expected in show(reproduced, name, DETAILS)
    # What the experiments left in DVC's cache is not taken for the committed code's.
    assert reproduced.repro("--force", "evaluate@cnn")
    assert WORDS in (reproduced.folder / DETAILS).read_text(encoding="utf-8")
    assert reproduced.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize(("kind", "shell"), [("worktree", "/bin/bash"), ("submodule", "/bin/dash")])
def test_a_checkout_of_its_own_runs_its_own_code(reproduced, tmp_path, kind, shell):
    folder = tmp_path / "a name with blanks" / "study"
    here = str(reproduced.folder)
    if kind == "worktree":
        reproduced.run("git", "worktree", "add", "--quiet", "--detach", str(folder))
    else:
        allow = ("-c", "protocol.file.allow=always")
        reproduced.run("git", "init", "--quiet", str(folder.parent))
        at = ("-C", str(folder.parent))
        reproduced.run("git", *at, *allow, "submodule", "--quiet", "add", here, "study")
    edit(folder)
    own = Clone.__new__(Clone)
    own.folder = folder
    own.run("dvc", "cache", "dir", "--local", f"{here}/.dvc/cache")
    own.run("dvc", "checkout", "--quiet", "--allow-missing")
    own.run("dvc", "repro", installed=True, SHELL=shell)
    assert EDITED in (folder / DETAILS).read_text(encoding="utf-8")
    assert WORDS in (reproduced.folder / DETAILS).read_text(encoding="utf-8")
