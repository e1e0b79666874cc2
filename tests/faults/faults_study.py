"""A study so small that a stage takes a second, and stages run as programs in a folder of it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def command_of(stage: str, model: str = "cnn") -> list[str]:
    """Give script and flags of a stage as dvc.yaml has them; the script at its own place."""
    command = STAGES[stage].get("do", STAGES[stage])["cmd"].replace("${key}", model)
    path, python, script, *flags = command.replace('"${data.path}"', "data/source").split()
    assert (path, python) == ("PYTHONPATH=src", "python")
    return [str(ROOT / script), *flags]


def tiny(params: dict) -> None:
    """Make the settings of params.yaml those of a study of two models and seconds."""
    params["data"].update(source="demo", path="data/source", n_images=70, seed=1, external={})
    params["resize"].update(pixels=16)
    params["split"].update(by="lesion", test_size=0.2, val_size=0.1, cal_size=0.1)
    params["balance"].update(method="random")
    params["evaluate"].update(n_resamples=100)
    models = params["models"]
    shared = {"input_size": 32, "batch_size": 16, "epochs": 3}
    models["cnn"].update(
        shared,
        head={"filters": [2, 2], "dense_units": [4], "dropout": 0.3, "batch_norm_momentum": 0.9},
    )
    models["vgg16"].update(shared, head={"dense_units": [4], "dropout": 0.3})
    del models["resnet50"]


class Study:
    """A folder with params.yaml, in which stages run as programs of their own."""

    def __init__(self, folder: Path):
        self.folder = folder

    def edit(self, change) -> None:
        """Let `change` alter the mapping that params.yaml holds."""
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(params)
        file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def run(self, stage, *, model="cnn", before=(), limit=None, flags=(), in_dvc=False):
        """Run a stage; give its exit code and what it said on stderr, without progress bars.

        `before` are words before the command. `limit` is the memory in MB that it may have beyond
        what its imports take. `flags` come after those of dvc.yaml and so replace them. `in_dvc`:
        the stage believes that DVC runs it.
        """
        script, *own = command_of(stage, model)
        program = [script] if limit is None else ["-c", LIMITED, str(limit), script]
        variables = {"DVC_STAGE": stage} if in_dvc else {}
        done = subprocess.run(
            [*before, sys.executable, *program, *own, *flags],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | variables,
            capture_output=True,
            encoding="utf-8",
        )
        said = [line.rpartition("\r")[2] for line in done.stderr.splitlines()]
        return done.returncode, "\n".join(said).strip()


# As a stage runs, but with a limit to its memory that its imports do not count towards.
LIMITED = """
import ast, importlib, resource, runpy, sys
limit, script = int(sys.argv[1]), sys.argv[2]
sys.argv = sys.argv[2:]
for node in ast.parse(open(script).read()).body:
    if isinstance(node, ast.ImportFrom):
        importlib.import_module(node.module)
    elif isinstance(node, ast.Import):
        importlib.import_module(node.names[0].name)
pages = int(open("/proc/self/statm").read().split()[0])
taken = pages * resource.getpagesize() + limit * 10**6
resource.setrlimit(resource.RLIMIT_AS, (taken, taken))
runpy.run_path(script, run_name="__main__")
"""
