"""What DVC notes in this folder: which process uses which file, and what it made of each stage."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, load_yaml, parse_yaml_for_update
from guard import keep_notes

LOCK = Path("dvc.lock")


def release_dead(repo: Repo) -> None:
    """Drop the read and write locks of processes that run no more.

    DVC drops one that is in its way; but not where a new process has the old one's number, as soon
    happens in a container.
    """
    with repo.lock:
        keep_notes(repo.tmp_dir, _runs)


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
