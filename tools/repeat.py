"""Repeat the study with other seeds or test folds, and report how much the scores vary.

Each run is a DVC experiment in this folder, so that nothing two runs share is computed twice. Run
from the repository's folder: `python tools/repeat.py N_RUNS`.
"""

from lesions.pipeline.cli import read_params

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from committed import git
from dvc.utils.serialize import modify_yaml

from lesions.config import Params
from lesions.pipeline.files import read_json

PARAMS = Path("params.yaml")
SCORES = Path("plots/comparison/comparison.json")
RESULTS = Path("results/repeats")
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


@contextmanager
def restored(*stages: str) -> Iterator[None]:
    """Restore params.yaml at the end, and the outputs of `stages` (all if none is named)."""
    settings = PARAMS.read_text(encoding="utf-8")
    try:
        yield
    finally:
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
        PARAMS.write_text(settings, encoding="utf-8")
        print("\nparams.yaml is restored; restoring the outputs", flush=True)
        dvc("repro", *stages)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def check_folds(n_folds: int) -> None:
    """Split and balance each fold: one that is impossible must not fail after hours of training."""
    with restored("balance"):
        for fold in range(n_folds):
            with modify_yaml(PARAMS) as settings:
                settings["sets"]["study"]["split"].update(folds=n_folds, fold=fold)
            dvc("repro", "balance")


def run_all(params: Params, n_runs: int, file: Path) -> pd.DataFrame:
    """Run the study `n_runs` times; return `run, model, set` and the headline scores.

    If validation images are scored, `set` says so. The scores are written to `file` after every
    run, so that stopping loses none.
    """
    runs = {f"seed-{seed}": {"seed": seed} for seed in range(params.seed, params.seed + n_runs)}
    if params.repeat.by == "fold":
        split = "sets.study.split"
        runs = {f"fold-{k}": {f"{split}.folds": n_runs, f"{split}.fold": k} for k in range(n_runs)}
    which = ", validation images" if params.evaluate.partition == "val" else ""
    rows = []
    dvc("repro")
    with restored():
        for run, changes in runs.items():
            name = f"repeat-{params.profile}-{run}"
            # Of an earlier `make repeat`; fails if there is none.
            subprocess.run(["dvc", "exp", "remove", name], capture_output=True)
            flags = [f"--set-param={key}={value}" for key, value in changes.items()]
            dvc("exp", "run", "--name", name, *flags)
            for model, sets in read_json(SCORES).items():
                for photographs, scores in sets.items():
                    values = {measure: score["value"] for measure, score in scores.items()}
                    rows.append({"run": run, "model": model, "set": photographs + which} | values)
            pd.DataFrame(rows).to_csv(file, index=False)
    return pd.DataFrame(rows)


def describe_spread(scores: pd.Series) -> str:
    """Return mean ± standard deviation (lowest–highest)."""
    return f"{scores.mean():.3f} ± {scores.std():.3f} ({scores.min():.3f}–{scores.max():.3f})"


def main() -> None:
    """Run, then write `results/repeats/<profile>-by-<seed|fold>.{csv,md}` and print the latter."""
    if not (sys.argv[1:] and sys.argv[1].isdecimal() and int(sys.argv[1]) > 1):
        sys.exit(f"SEEDS must be a number of runs, 2 or more; found {' '.join(sys.argv[1:])!r}")
    git("rev-parse", "--verify", "HEAD")
    for role in ("AUTHOR", "COMMITTER"):  # DVC commits experiments, under a configured name only
        git("-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")
    if git("for-each-ref", "refs/exps/exec/EXEC_BASELINE"):
        sys.exit(
            "An experiment is running, or was killed and left its settings in params.yaml; wait "
            "for it, or check out your branch, correct params.yaml, and run 'git update-ref -d "
            "refs/exps/exec/EXEC_BASELINE'"
        )
    params, n_runs = read_params(), int(sys.argv[1])
    if params.repeat.by == "seed" and params.seed + n_runs > 2**32:
        sys.exit(f"seed must be at most {2**32 - n_runs} for SEEDS={n_runs}; found {params.seed}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = RESULTS / f"{params.profile}-by-{params.repeat.by}"
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    try:
        if params.repeat.by == "fold":
            check_folds(n_runs)
        table = run_all(params, n_runs, Path(f"{stem}.csv"))
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        sys.exit(130)
    except ChildProcessError as error:
        sys.exit(f"\n{error}")
    models = table.drop(columns="run").groupby(["model", "set"], sort=False)
    spread = models.agg(describe_spread).assign(runs=models.size())
    text = spread.reset_index().to_markdown(index=False)
    Path(f"{stem}.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}\n\nMean ± standard deviation (lowest–highest) over the runs, in {stem}.md")


if __name__ == "__main__":
    main()
