"""What the machinery costs: `dvc repro` with nothing to do, and the start of every stage.

A stage's start is its script with `--help`: Python, every import, and no work. `python
benchmarks/overhead.py`, in a repository whose pipeline is up to date.
"""

import argparse
import subprocess
import sys

from side_by_side import report, seconds, spread
from study import ROOT

STAGES = sorted((ROOT / "stages").glob("*.py"))


def main():
    """Time each several times, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    python = [sys.executable, "-c", "pass"]
    repro = ["dvc", "repro"]
    if "up to date" not in ask(*repro):
        sys.exit("the pipeline must be up to date, or its work would be measured; run 'dvc repro'")
    rows = [row("Python alone", python, options.times), row("dvc repro", repro, options.times)]
    for stage in STAGES:
        command = [sys.executable, str(stage), "--help"]
        rows.append(row(stage.stem, command, options.times, tensorflow=imports_tensorflow(stage)))
    report("overhead", rows, settings=vars(options))


def row(name, command, times, *, tensorflow=None):
    """Give a line of the table."""
    took = spread([seconds(ask, *command) for _ in range(times)])
    return {"what": name, "seconds": took, "imports TensorFlow": tensorflow}


def imports_tensorflow(stage) -> bool:
    """Say whether the start of a stage brings TensorFlow in."""
    command = [sys.executable, "-X", "importtime", str(stage), "--help"]
    told = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stderr
    return any(line.rsplit("|", 1)[-1].strip() == "tensorflow" for line in told.splitlines())


def ask(*command: str) -> str:
    """Run a command in the repository; give what it printed."""
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
