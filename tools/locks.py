"""What DVC notes in this folder: which process uses which file, and what it made of each stage.

`python tools/locks.py`, from the repository's folder, says whose locks lie there: it drops those of
processes that run no more, and stops where one still runs.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from dvc.exceptions import DvcException, PrettyDvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, load_yaml, parse_yaml_for_update
from guard import keep_notes

LOCK = Path("dvc.lock")


def release_dead(repo: Repo) -> dict[bool, set[str]]:
    """Drop the read and write locks of processes that run no more; give who is dead, who alive.

    DVC drops one that is in its way; but not where a new process has the old one's number, or
    nobody has reaped the old one, as soon happens in a container.
    """
    found = {False: set(), True: set()}

    def runs(info):
        alive = _runs(info)
        found[alive].add(f"'{info['cmd']}' (process {info['pid']})")
        return alive

    with repo.lock:
        keep_notes(repo.tmp_dir, runs)
    return found


def _runs(info):
    """Tell whether the process that a lock names still runs, and is that command."""
    with suppress(psutil.Error):
        command = " ".join(psutil.Process(info["pid"]).cmdline())
        return command.endswith(info["cmd"].split(" ", 1)[-1])
    return False


def recorded() -> list[str]:
    """Give the stages that `dvc.lock` knows, in its order."""
    return list(load_yaml(LOCK).get("stages", {})) if LOCK.exists() else []


def sort_recorded(repo: Repo, order: list[str]) -> None:
    """Put the stages in `dvc.lock` in this order, those that it does not name at the end."""
    place = {name: number for number, name in enumerate(order)}
    with repo.lock:
        names = recorded()
        in_order = sorted(names, key=lambda name: place.get(name, len(place)))
        if names == in_order:
            return
        # Read so that numbers keep their spelling, and replaced at once: half a file is worse.
        lock = parse_yaml_for_update(LOCK.read_text(encoding="utf-8"), LOCK)
        for name in in_order:
            lock["stages"].move_to_end(name)
        new = Path(repo.tmp_dir, LOCK.name)
        dump_yaml(new, lock)
        os.replace(new, LOCK)


@contextmanager
def told() -> Iterator[None]:
    """Stop with a sentence where DVC cannot read what is here, or may not write in it."""
    try:
        yield
    except DvcException as error:
        if isinstance(error, PrettyDvcException):  # a file of its own with a fault: say the line
            error.__pretty_exc__()
        sys.exit(f"ERROR: {error}")
    except OSError as error:
        sys.exit(f"DVC must be able to write in this folder; {error}; see its rights, and room.")


def main() -> None:
    """Say whose locks lie in this folder; drop those of the dead, stop at those of the living."""
    with told():
        repo = Repo()
        try:
            found = release_dead(repo)
        except LockError:  # the system takes it from who dies, so whoever has it lives
            owner = Path(repo.tmp_dir, "lock").read_text(encoding="utf-8").strip()
            found = {False: set(), True: {f"process {owner}"}}
    for who in sorted(found[False]):
        print(f"{who} runs no more; its locks are dropped, and what it left undone runs again")
    if found[True]:
        sys.exit(
            f"One DVC at a time may work in this folder; {', '.join(sorted(found[True]))} still "
            "does. Wait for its end, or stop it with Ctrl-C in its terminal or 'kill' and its "
            "number; then run this again."
        )


if __name__ == "__main__":
    main()
