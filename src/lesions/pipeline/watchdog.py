"""A stage ends with the DVC that runs it; what a stage that is killed cannot print itself."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil

INTERVAL = 0.5  # seconds between checks; a new `dvc repro` takes longer than that to start
# Waits at a pipe, which closes with the process at its other end, however that ended.
EXPLAIN = r'read -r ended || printf "\n%s\n" "$1" >&2'


def end_with_dvc() -> None:
    """Kill this process as soon as the DVC that started it has ended.

    A DVC that is killed leaves its stages running, and the next one would start a second process
    that writes the same files. Stages survive a kill: see `lesions.training.checkpoint`. A stage
    that is run by hand is not watched.
    """
    if "DVC_STAGE" not in os.environ or not hasattr(os, "getsid"):
        return
    process = psutil.Process()
    chain = [process]
    parent = process.parent()
    if parent is not None and _is_shell_of_this_stage(parent):
        chain.append(parent)
        parent = parent.parent()
    # DVC's stages share its session; another session is that of a process that adopts orphans.
    if parent is None or os.getsid(parent.pid) != os.getsid(0):
        _end()
    chain.append(parent)
    threading.Thread(target=_watch, args=[chain], daemon=True).start()


def explain_if_killed(message: str) -> None:
    """Print a message when this process is ended by a signal, as for lack of memory."""
    if "DVC_STAGE" in os.environ:
        shell = subprocess.Popen(["sh", "-c", EXPLAIN, "sh", message], stdin=subprocess.PIPE)
        atexit.register(shell.communicate, b"ended\n")


def _is_shell_of_this_stage(process: psutil.Process) -> bool:
    command = process.cmdline()
    return "-c" in command[1:-1] and Path(sys.argv[0]).name in command[-1]


def _watch(chain: list[psutil.Process]) -> None:
    """Wait until one of the processes is no longer the child of the next."""
    while all(child.ppid() == parent.pid for child, parent in pairwise(chain)):
        time.sleep(INTERVAL)
    _end()


def _end() -> None:
    print("\nDVC has ended; ending this stage", file=sys.stderr, flush=True)
    for child in psutil.Process().children():  # the explanation is not needed
        child.kill()
    os.kill(os.getpid(), signal.SIGKILL)
