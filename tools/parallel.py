"""Run the pipeline, stages that do not depend on one another at once, on workers of Dask.

`python tools/parallel.py JOBS|ADDRESS [FLAG...]`, from the repository's folder: on so many workers
here, or on those of the Dask scheduler at that address, who must see this folder at the same path,
on a file system with flock. Flags go to `dvc repro`; with any, no stage is left out as up to date.

Each stage is one `dvc repro --single-item`: DVC checks, caches and records it as ever. Dask says
when: after what it depends on, and once more if its worker dies.
"""

import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import networkx as nx
from distributed import Client, LocalCluster, as_completed
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from locks import recorded, release_dead, sort_recorded
from stage_worker import OF_DASK, WAIT, StageFailed, run_stage

from lesions.cores import VARIABLE, n_workers

TOOLS = Path(__file__).resolve().parent
HINTS = re.compile("(?:Generating|Updating) lock file")  # and what DVC advises after it


def plan(flags: list[str]) -> tuple[Repo, list[str], dict[str, list[str]]]:
    """Give all stages in the order of `dvc repro`, and what each that may have to run waits for."""
    while True:
        repo = Repo(_wait_for_lock=True)
        release_dead(repo)
        graph = get_active_graph(repo.index.graph)  # from a stage to what it depends on
        order = [stage.addressing for stage in plan_repro(graph)]
        graph = nx.relabel_nodes(graph, lambda stage: stage.addressing)
        try:
            changed = set(order) if flags else set(repo.status())
        except LockError:
            print("waits for another DVC that runs here", flush=True)
            time.sleep(WAIT)
            continue
        todo = [name for name in order if changed & {name, *nx.descendants(graph, name)}]
        return repo, order, {name: [on for on in graph[name] if on in todo] for name in todo}


@contextmanager
def connect(where: str) -> Iterator[Client]:
    """Give a client of a new cluster of so many workers here, or of the one at that address."""
    if not where.isdigit():
        try:
            client = Client(where)
        except OSError as error:
            sys.exit(f"SCHEDULER must be where a Dask scheduler runs; {where} does not: {error}")
        with client:
            client.upload_file(str(TOOLS / "stage_worker.py"))
            yield client
        return
    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=int(where), silence_logs=logging.CRITICAL, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_all(client: Client, todo: dict[str, list[str]], **settings) -> list[str]:
    """Run the stages, print what each printed as it ends; give those that did not come to it."""
    topic = f"stages of {client.id}"
    client.subscribe_topic(topic, lambda event: print(event[1], flush=True))
    futures = {}
    for number, (name, needed) in enumerate(todo.items()):
        futures[name] = client.submit(
            run_stage,
            name,
            *(futures[on] for on in needed),
            topic=topic,
            **settings,
            key=f"{name} of {topic}",
            priority=-number,
        )
    names = {future.key: name for name, future in futures.items()}
    failed = []
    for future in as_completed(futures.values()):
        name = names[future.key]
        if future.status == "finished":
            log, *_ = HINTS.split(future.result())
            print(f"\n{log.strip()}\n", flush=True)
            continue
        failed.append(name)
        error = future.exception()
        if isinstance(error, StageFailed):
            of, log = error.args
        else:  # a worker that died again and again, or the scheduler
            of = names.get(getattr(error, "task", None), name)
            log = str(error or "The scheduler is gone.")
        print(f"\n{log}\n{name} failed\n" if of == name else f"{name} not run: {of} failed")
    return failed


def main() -> None:
    """Plan, run, and leave DVC's notes as one process would have left them."""
    where, *flags = sys.argv[1:] or [""]
    if not re.fullmatch(r"[1-9]\d*|\w+://.+", where):
        sys.exit(
            "JOBS must be a number of stages at once, 1 or more, and SCHEDULER an address, as in "
            f"tcp://host:8786; found {where!r}"
        )
    passed = ("PATH", "PYTHONPATH", VARIABLE, *OF_DASK)
    env = {key: os.environ[key] for key in passed if key in os.environ}
    try:
        if where.isdigit():
            env.setdefault(VARIABLE, str(max(1, n_workers() // int(where))))
        before = recorded()
        repo, order, todo = plan(flags)
    except (ValueError, DvcException) as error:
        sys.exit(f"ERROR: {error}")
    if not todo:
        print("Data and pipelines are up to date.")
        return
    guard = [sys.executable, "-S", str(TOOLS / "guard.py"), repo.tmp_dir]
    dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *flags]
    try:
        with connect(where) as client:
            failed = run_all(client, todo, root=repo.root_dir, command=[*guard, *dvc], env=env)
    except KeyboardInterrupt:
        print("\nStopped by Ctrl-C; the stages that had ended are kept.", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        release_dead(repo)
        sort_recorded(repo, list(dict.fromkeys([*before, *order])))
    if failed:
        sys.exit(f"Every stage must end well; {', '.join(failed)} did not, for the reasons above.")


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":  # a worker: Ctrl-C is for the process that started it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
