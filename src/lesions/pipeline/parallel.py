"""Run stages that do not depend on one another at the same time, on workers of Dask.

`python -m lesions.pipeline.parallel JOBS|ADDRESS`, from the repository's folder: on as
many workers here, or on those of the Dask scheduler at that address. They must see this folder at
the same path, on a file system with working file locks. DVC checks, caches and records each stage
as `dvc repro --single-item` does; Dask decides when.
"""

import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
from contextlib import chdir

import dask
import networkx as nx
import psutil
from distributed import Client, Status, as_completed, get_worker
from dvc.dvcfile import LOCK_FILE
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.utils.serialize import load_yaml, modify_yaml

from lesions.imaging.threads import VARIABLE, n_workers
from lesions.pipeline.locks import release_stale

WAIT = 5  # seconds before a stage that waits for another DVC tries again
OPTIONS = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}


def plan(repo: Repo) -> tuple[list[str], dict[str, list[str]]]:
    """Return all stages in DVC's order, and of those to run the stages that each one waits for."""
    # From a stage to its dependencies.
    graph = nx.relabel_nodes(repo.index.graph, lambda stage: stage.addressing)
    order = list(nx.dfs_postorder_nodes(graph))
    changed = set(repo.status())
    todo = [name for name in order if changed & {name, *nx.descendants(graph, name)}]
    return order, {name: [on for on in graph[name] if on in todo] for name in todo}


def run_stage(name: str, *_dependencies, root: str, topic: str) -> str:
    """Reproduce one stage in this worker; return what it printed, or raise it with the name."""
    worker, done = get_worker(), threading.Event()
    sys.argv = psutil.Process().cmdline()  # what DVC writes into its locks
    watch = [worker, worker.get_current_task(), done]
    threading.Thread(target=_stop_if_cancelled, args=watch, daemon=True).start()
    worker.log_event(topic, f"{name} started")
    try:
        while True:
            with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
                error = _reproduce(name, log, root)
                log.seek(0)
                printed = log.read().strip()
            if error is None:
                return printed
            if not isinstance(error.__cause__ or error, LockError):
                raise ChildProcessError(name, f"{printed}\n{error}: {error.__cause__ or ''}")
            worker.log_event(topic, f"{name} waits for another DVC in this folder")
            time.sleep(WAIT)
    finally:
        done.set()


def _reproduce(name, log, root) -> Exception | None:
    """Reproduce a stage; return the error, if any. All that is printed goes to `log`."""
    saved = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        for stream in saved:
            os.dup2(log.fileno(), stream)
        with chdir(root):
            Repo(root, _wait_for_lock=True).reproduce([name], single_item=True)
    except Exception as error:  # noqa: BLE001  whatever DVC or its remotes raise
        return error
    finally:
        for stream, original in saved.items():
            os.dup2(original, stream)
            os.close(original)


def _stop_if_cancelled(worker, key, done) -> None:
    """Kill a worker's stage once nobody waits for its result any more: Dask stops no thread."""
    while not done.wait(1):
        task = worker.state.tasks.get(key)
        if worker.status != Status.running or task is None or task.state != "executing":
            for child in psutil.Process().children(recursive=True):
                child.kill()
            return


def connect(where: str) -> Client:
    """Return a client of a new cluster of so many workers here, or of the one at that address."""
    if where.isdigit():
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}})  # stages keep the user's
        return Client(n_workers=int(where), silence_logs=logging.CRITICAL, **OPTIONS)
    try:
        return Client(where)
    except OSError as error:
        sys.exit(f"SCHEDULER={where}: no Dask scheduler answers there ({error})")


def run_all(client: Client, todo: dict[str, list[str]], root: str) -> list[str]:
    """Run the stages and print what each one printed; return those that did not finish."""
    topic = f"stages-of-{client.id}"
    client.subscribe_topic(topic, lambda event: print(event[1], flush=True))
    futures, failed = {}, []
    for number, (name, needed) in enumerate(todo.items()):
        dependencies = [futures[on] for on in needed]
        options = {"key": f"{name} {topic}", "priority": -number, "root": root, "topic": topic}
        futures[name] = client.submit(run_stage, name, *dependencies, **options)
    for future in as_completed(futures.values()):
        name = future.key.split()[0]
        if future.status == "finished":
            print(f"\n{future.result()}\n", flush=True)
            continue
        failed.append(name)
        error = future.exception()
        if isinstance(error, ChildProcessError):
            origin, log = error.args
        else:  # a worker that died again and again, or the scheduler
            origin = getattr(error, "task", name).split()[0]
            log = str(error or "The scheduler has ended")
        print(f"\n{log}\n{name} failed\n" if origin == name else f"{name} not run: {origin} failed")
    return failed


def sort_lock_file(repo: Repo, order: list[str]) -> None:
    """Sort the stages in `dvc.lock`, as a serial run would have written them."""
    if os.path.exists(LOCK_FILE):
        with repo.lock, modify_yaml(LOCK_FILE) as lock:
            for name in sorted(lock["stages"], key=order.index):
                lock["stages"].move_to_end(name)


def main() -> None:
    """Plan, run, and leave locks and lock file as a serial run would."""
    where = " ".join(sys.argv[1:])
    if not re.fullmatch(r"[1-9]\d*|\w+://.+", where):
        sys.exit(
            f"JOBS must be a number of stages, at least 1, or SCHEDULER an address such as "
            f"tcp://host:8786; found {where!r}"
        )
    try:
        if where.isdigit():
            os.environ.setdefault(VARIABLE, str(max(1, n_workers() // int(where))))
        before = load_yaml(LOCK_FILE)["stages"] if os.path.exists(LOCK_FILE) else {}
        repo = Repo(_wait_for_lock=True)
        release_stale(repo)
        order, todo = plan(repo)
    except (ValueError, DvcException) as error:
        sys.exit(f"ERROR: {error}")
    if not todo:
        print("Data and pipelines are up to date.")
        return
    try:
        with connect(where) as client:
            failed = run_all(client, todo, repo.root_dir)
    except KeyboardInterrupt:
        print("\nInterrupted; finished stages are kept", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        release_stale(repo)
        sort_lock_file(repo, list(dict.fromkeys([*before, *order])))
    if failed:
        sys.exit(f"{len(failed)} stage(s) did not finish: {', '.join(failed)}")


if __name__ == "__main__":
    from lesions.pipeline.parallel import main  # so that workers import what they run

    main()
elif __name__ == "__mp_main__":  # a worker: Ctrl-C is for the process that started it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
