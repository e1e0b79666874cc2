"""What a worker of Dask does with a stage; `tools/parallel.py` sends this file to a cluster."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

import dask
from distributed import Status, get_worker

# Dask sets these in a worker, the threads of BLAS and OpenMP among them: last digits could move.
OF_DASK = ("PYTHONHASHSEED", *dask.config.get("distributed.nanny.pre-spawn-environ"))
BUSY = re.compile(r"^ERROR: .*is busy, it is being blocked by", re.MULTILINE)
KILLED = re.compile(r"^ERROR: failed to reproduce .* exited with -9$", re.MULTILINE)
N_RETRIES = 2  # of a stage that was killed, most likely for want of memory
WAIT = 5  # s, before the next try


class StageFailed(Exception):
    """The name of a stage that failed, and what it printed."""


def run_stage(name: str, *_needed, root: str, command: list[str], env: dict, topic: str) -> str:
    """Reproduce a stage, once what it needs is there.

    Parameters
    ----------
    name
        As DVC says it; the last argument of `command`.
    root
        The folder to run it in.
    command
        Starts with `tools/guard.py`, which ends it all when its standard input is closed.
    env
        Variables that come before the worker's own.
    topic
        Where Dask reports what happens meanwhile.

    Returns
    -------
    str
        What DVC printed.

    Raises
    ------
    StageFailed
        If the stage fails, or is killed more than `N_RETRIES` times.
    """
    worker, n_killed = get_worker(), 0
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status == Status.running and task is not None and task.state == "executing"

    worker.log_event(topic, f"{name} begins")
    while True:
        code, log = _run([*command, name], root, env, is_wanted)
        if code == 0:
            return log
        killed = code in (-signal.SIGKILL, 256 - signal.SIGKILL) or KILLED.search(log)
        if BUSY.search(log):
            worker.log_event(topic, f"{name} waits for another DVC that runs here")
        elif killed and n_killed < N_RETRIES and is_wanted():
            n_killed += 1
            worker.log_event(topic, f"{name} was killed and begins again")
        else:
            raise StageFailed(name, log)
        time.sleep(WAIT)


def _run(command, root, env, is_wanted: Callable[[], bool]):
    """Run a command in a process group of its own; give its exit code and what it printed.

    Dask ends no thread: whether client and scheduler still wait for the result is asked here.
    """
    kept = {name: value for name, value in os.environ.items() if name not in OF_DASK}
    # Printed to a file: of a pipe that a forgotten process holds open one would never see the end.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=kept | env,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while process.poll() is None:
            if not is_wanted():
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what a killed guard or DVC left running
        process.stdin.close()
        printed.seek(0)
        return process.returncode, printed.read()
