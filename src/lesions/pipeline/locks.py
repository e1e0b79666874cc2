"""What a killed DVC leaves: its locks, which are removed, and an experiment's settings.

`python -m lesions.pipeline.locks` removes the locks, and exits with an error if another DVC still
runs here, or if params.yaml may have the settings of an experiment that was killed.
"""

import json
import sys
from pathlib import Path

import psutil
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.experiments.refs import EXEC_BASELINE
from dvc.scm import NoSCM

SAVED_PARAMS = "params-before-experiments.yaml"  # in DVC's folder for what is temporary


def release_stale(repo: Repo) -> dict[bool, set[str]]:
    """Remove the locks of dead processes; return all owners, by whether they run.

    DVC removes such a lock itself, unless another process has got the dead one's number or, as in
    containers, nobody has reaped it.
    """
    owners = {False: set(), True: set()}

    def is_alive(info):
        alive = _is_running(info)
        owners[alive].add(f"'{info['cmd']}' (process {info['pid']})")
        return alive

    with repo.lock:
        file = Path(repo.tmp_dir, "rwlock")
        try:
            locks = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # ValueError: DVC was killed while it wrote
            locks = {}
        write = {path: info for path, info in locks.get("write", {}).items() if is_alive(info)}
        read = {path: list(filter(is_alive, all_)) for path, all_ in locks.get("read", {}).items()}
        read = {path: infos for path, infos in read.items() if infos}
        file.write_text(json.dumps({"write": write, "read": read}), encoding="utf-8")
    return owners


def _is_running(info: dict) -> bool:
    """Return whether the process of a lock runs, and still is the command that took it."""
    try:
        command = " ".join(psutil.Process(info["pid"]).cmdline())  # empty for a zombie
    except psutil.Error:
        return False
    return command.endswith(info["cmd"].split(" ", 1)[-1])


def find_killed_experiment(repo: Repo) -> str:
    """Return what a killed experiment left, and how to go on; '' if there is none.

    No DVC may run in this folder: DVC has this reference while an experiment runs.
    """
    saved = Path(repo.tmp_dir, SAVED_PARAMS)
    has_reference = not isinstance(repo.scm, NoSCM) and bool(repo.scm.get_ref(EXEC_BASELINE))
    if not (has_reference or saved.exists()):
        return ""
    correct = f"run 'mv {saved} params.yaml'" if saved.exists() else "correct params.yaml"
    remove = f", and run 'git update-ref -d {EXEC_BASELINE}'" if has_reference else ""
    return (
        "An experiment was killed, and left its settings in params.yaml and perhaps a detached "
        f"HEAD. Check out your branch ('git checkout -', or 'git switch NAME'), {correct}{remove}"
    )


def main() -> None:
    """Remove stale locks; exit with an error if another DVC runs, or an experiment was killed."""
    try:
        repo = Repo()
        owners = release_stale(repo)
    except LockError:  # held by the system for its process, which therefore runs
        owner = Path(repo.tmp_dir, "lock").read_text(encoding="utf-8").strip()
        owners = {False: set(), True: {f"process {owner}"}}
    except (DvcException, OSError) as error:
        sys.exit(f"DVC cannot work in this folder: {error}")
    for owner in sorted(owners[False]):
        print(f"Removed stale lock held by {owner}")
    if owners[True]:
        sys.exit(
            f"Another DVC runs in this folder: {', '.join(sorted(owners[True]))}; wait until it "
            "ends or stop it, then run this again"
        )
    if left := find_killed_experiment(repo):
        sys.exit(left)


if __name__ == "__main__":
    main()
