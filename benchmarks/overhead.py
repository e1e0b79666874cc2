"""What DVC costs: `dvc repro` with nothing to do, and the start of every stage.

The start of a stage is its script with `--help`: Python, every import, and no work. `python
benchmarks/overhead.py`, in a repository whose pipeline is up to date.
"""

import argparse
import sys

from side_by_side import summarize, time_call, write_results
from study import ROOT, run

STAGES = sorted((ROOT / "stages").glob("*.py"))


def main():
    """Time each several times, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    if "up to date" not in run(ROOT, "dvc", "repro"):
        sys.exit("The pipeline was not up to date; it is now, so run this again")
    python = ["env", "PYTHONPATH=src", "python"]  # as in dvc.yaml
    commands = {"Python alone": [*python, "-c", "pass"], "dvc repro": ["dvc", "repro"]}
    commands |= {stage.stem: [*python, str(stage), "--help"] for stage in STAGES}
    rows = []
    for name, command in commands.items():
        seconds = [time_call(run, ROOT, *command) for _ in range(options.times)]
        rows.append({"what": name, "seconds": summarize(seconds)})
    write_results("overhead", rows, settings=vars(options))


if __name__ == "__main__":
    main()
