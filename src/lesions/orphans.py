"""A stage ends with the DVC that runs it, however that ended."""

import os
import signal
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil

from lesions.last_words import take_back

PAUSE = 0.5  # s between two looks; a new `dvc repro` takes longer than that to start


def end_with_dvc() -> None:
    """Have this process killed as soon as the DVC that started it is gone.

    DVC waits for its stages, but a DVC that is killed leaves them running, and the next one would
    start a second process that writes the same files. A kill is what stages are made to bear: see
    `lesions.resume`. Without DVC, a stage that someone runs by hand, nothing is watched.
    """
    if not runs_in_dvc():
        return
    process = psutil.Process()
    chain = [process]
    parent = process.parent()
    if parent is not None and _is_shell_of_this(parent):
        chain.append(parent)
        parent = parent.parent()
    # DVC gives its stages no session of their own, so another's is that of whoever adopts orphans.
    if parent is None or os.getsid(parent.pid) != os.getsid(0):
        _end()
    chain.append(parent)
    threading.Thread(target=_watch, args=[chain], daemon=True).start()


def runs_in_dvc() -> bool:
    """Tell whether DVC started this process, on a system that has sessions, signals and `sh`."""
    return "DVC_STAGE" in os.environ and hasattr(os, "getsid")


def _is_shell_of_this(process: psutil.Process) -> bool:
    """Tell whether a process is the shell that DVC hands a stage's command to."""
    command = process.cmdline()
    return "-c" in command[1:-1] and Path(sys.argv[0]).name in command[-1]


def _watch(chain: list[psutil.Process]) -> None:
    """Wait until one of these is no longer the parent of the one before it."""
    while all(child.ppid() == parent.pid for child, parent in pairwise(chain)):
        time.sleep(PAUSE)
    _end()


def _end() -> None:
    take_back()
    print("\nDVC is gone; this stage ends as well", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
