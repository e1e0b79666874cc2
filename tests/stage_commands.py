"""Commands of stages by their own `main`, without DVC."""

import os
import shlex
import subprocess
import sys

import yaml
from cloned import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# One process for all commands: TensorFlow is imported once.
RUN = """
import runpy, shlex, sys
for line in sys.stdin:
    sys.argv = shlex.split(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def try_to_run(folder, *commands):
    """Run commands in a folder; return the ended process."""
    return subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join(commands),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
    )


def run(folder, *commands):
    """Run commands in a folder; return what they print."""
    done = try_to_run(folder, *commands)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(stage, **names):
    """Return the script and the flags of a stage of dvc.yaml."""
    text = STAGES[stage].get("do", STAGES[stage])["cmd"]
    for name, value in names.items():
        text = text.replace(f"${{{name.replace('_', '.')}}}", value)
    _, _, script, *flags = shlex.split(text)
    return shlex.join([str(ROOT / script), *flags])
