"""DVC experiments that run in this folder one after another, and leave it as it was."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from committed import git

from lesions.pipeline.locks import SAVED_PARAMS

PARAMS = Path("params.yaml")
SAVED = Path(".dvc/tmp", SAVED_PARAMS)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def dvc(*command: str) -> None:
    """Run DVC; raise if it fails, and when stopped, once DVC has cleaned up and ended."""
    # In a session of its own, so that a closed terminal does not kill it before it cleans up.
    with subprocess.Popen(["dvc", *command], start_new_session=True) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            raise
    if process.returncode:
        raise ChildProcessError(f"'dvc {' '.join(command)}' failed for the reason above")


def run_experiment(name: str, changes: dict[str, object], *stages: str) -> None:
    """Run `stages` (all if none is named) with changed settings, as an experiment.

    An experiment of the same name is replaced.
    """
    subprocess.run(["dvc", "exp", "remove", name], capture_output=True)  # fails if there is none
    flags = [f"--set-param={key}={value}" for key, value in changes.items()]
    dvc("exp", "run", "--name", name, *flags, *stages)


@contextmanager
def restored(*stages: str) -> Iterator[None]:
    """Restore params.yaml at the end, and the outputs of `stages` (all if none is named)."""
    settings = PARAMS.read_text(encoding="utf-8")
    SAVED.parent.mkdir(parents=True, exist_ok=True)
    SAVED.write_text(settings, encoding="utf-8")  # for whoever kills this process
    try:
        yield
    finally:
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
        PARAMS.write_text(settings, encoding="utf-8")
        SAVED.unlink()
        print("\nparams.yaml is restored; restoring the outputs", flush=True)
        dvc("repro", *stages)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def experiments() -> Iterator[None]:
    """Exit with a message where experiments cannot run, if one fails, or when stopped."""
    git("rev-parse", "--verify", "HEAD")
    for role in ("AUTHOR", "COMMITTER"):  # DVC commits experiments, under a configured name only
        git("-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        sys.exit(130)
    except ChildProcessError as error:
        sys.exit(f"\n{error}")
