"""Run a command of DVC that must not outlive the worker that starts it: `guard.py TMP COMMAND...`.

Standard input is a pipe that only the worker holds, so it closes once the worker is gone, however
that went. Then DVC and the stage that it runs are killed: Dask starts the stage again, and two
processes must not write one output. TMP is the folder where DVC has its locks.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def keep_notes(folder: str, keep: Callable[[dict], bool]) -> None:
    """Of DVC's notes of which process reads and writes which file keep those that `keep` tells.

    Whoever calls it holds DVC's lock. A file that was cut off as it was written counts as empty.
    """
    file = Path(folder, "rwlock")
    try:
        notes = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        notes = {}
    if not isinstance(notes, dict):
        notes = {}
    write = {path: info for path, info in notes.get("write", {}).items() if keep(info)}
    read = {path: list(filter(keep, infos)) for path, infos in notes.get("read", {}).items()}
    read = {path: infos for path, infos in read.items() if infos}
    file.write_text(json.dumps({"write": write, "read": read}), encoding="utf-8")


def watch(dvc: subprocess.Popen, folder: str) -> None:
    """Wait for the worker's end; then kill DVC, drop its notes, and kill the rest of this group.

    Not while DVC has its lock: killed as it writes `dvc.lock`, it would leave half of it.
    """
    os.read(0, 1)
    with Path(folder, "lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dvc.kill()
        dvc.wait()
        keep_notes(folder, lambda info: info["pid"] != dvc.pid)
        os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the command; end as it ends, with 256 - n where signal n killed it."""
    folder, *command = sys.argv[1:]
    dvc = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    watcher = threading.Thread(target=watch, args=[dvc, folder], daemon=True)
    watcher.start()
    if dvc.wait() == -signal.SIGKILL:
        watcher.join(timeout=5)  # was it the watcher, then it has more to do
    sys.exit(dvc.returncode & 255)


if __name__ == "__main__":
    main()
