"""What `make repro` and the like check first; tests/faults/test_kills.py kills real runs."""

import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from lesions.pipeline import locks

MARK = "refs/exps/exec/EXEC_BASELINE"


@pytest.fixture
def repo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ("git", "-c", "user.name=tests", "-c", "user.email=tests@localhost")
    subprocess.run([*git, "init", "--quiet"], check=True)
    Repo.init()
    subprocess.run([*git, "commit", "--quiet", "--message", "none"], check=True)
    return Repo()


def test_what_a_killed_experiment_left_is_refused_until_it_is_removed(repo):
    locks.main()
    subprocess.run(["git", "update-ref", MARK, "HEAD"], check=True)
    with pytest.raises(SystemExit, match="An experiment was killed") as exit_:
        locks.main()
    assert locks.SAVED_PARAMS not in str(exit_.value)
    saved = Path(repo.tmp_dir, locks.SAVED_PARAMS)
    saved.touch()
    with pytest.raises(SystemExit, match=f"run 'mv .*{locks.SAVED_PARAMS} params.yaml', and run"):
        locks.main()
    subprocess.run(["git", "update-ref", "-d", MARK], check=True)
    with pytest.raises(SystemExit, match=f"run 'mv .*{locks.SAVED_PARAMS} params.yaml'$"):
        locks.main()
    saved.rename("params.yaml")
    locks.main()


def test_without_git_there_are_no_experiments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True)
    locks.main()
