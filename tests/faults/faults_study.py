"""A study so small that a stage takes a second, with stages run as programs in its folder."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml
from cloned import ROOT, Clone

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: stage for name, stage in PIPELINE.items() if "ensemble" not in name}


def fill_in(text: str, stage: str, model: str) -> str:
    """Return a text of a stage in dvc.yaml with its variables replaced."""
    variables = {
        "key": "study" if STAGES[stage].get("foreach") == "${sets}" else model,
        "item.model": model,
        "item.set": "study",
        "item.source.path": "data/source",
        "item.inputs": "images.npy" if model == "cnn" else f"features/{model}",
    }
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def command_of(stage: str, model: str = "cnn") -> list[str]:
    """Return script and flags of a stage as in dvc.yaml; the script by its absolute path."""
    command = fill_in(STAGES[stage].get("do", STAGES[stage])["cmd"], stage, model)
    path, python, script, *flags = shlex.split(command)
    assert (path, python) == ("PYTHONPATH=src", "python")
    return [str(ROOT / script), *flags]


def outputs_of(stage: str, model: str = "cnn") -> list[str]:
    """Return the outputs of a stage as in dvc.yaml."""
    body = STAGES[stage].get("do", STAGES[stage])
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in body.get(kind, [])]
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    return [fill_in(name, stage, model) for name in names]


def make_tiny(params: dict) -> None:
    """Change the settings of params.yaml to those of a study of two models and seconds."""
    study = params["sets"]["study"]
    study["source"] = {"kind": "synthetic", "path": "data/source", "n_images": 70, "seed": 1}
    study["split"].update(by="lesion", test_size=0.2, val_size=0.1, cal_size=0.1)
    params["sets"] = {"study": study}
    params["resize"].update(pixels=32)
    params["balance"].update(method="random")
    params["explore"].update(photographs_per_class=3)
    params["evaluate"].update(n_resamples=100, n_mistakes=4)
    params["backbones"] = {"vgg16": params["backbones"]["vgg16"]}
    models = {name: params["models"][name] for name in ("cnn", "vgg16")}
    for model in models.values():
        model.update(batch_size=16, epochs=3)
    models["cnn"].update(filters=[2, 2], dense_units=[4])
    models["vgg16"].update(dense_units=[4])
    params["models"] = models
    params["ensembles"] = {}


class Study:
    """A folder with params.yaml, in which stages run as programs of their own."""

    def __init__(self, folder: Path):
        self.folder = folder

    def edit(self, change) -> None:
        """Call `change` with the settings of params.yaml, and write them back."""
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(params)
        file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def run(self, stage, *, model="cnn", before=(), limit=None, flags=(), in_dvc=False):
        """Run a stage; return its exit code and what it printed to stderr, without progress bars.

        `before` are words before the command. `limit` is the memory in MB that it may use beyond
        that of its imports. `flags` come after those of dvc.yaml and so replace them. `in_dvc`: as
        if DVC ran the stage.
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
        printed = [line.rpartition("\r")[2] for line in done.stderr.splitlines()]
        return done.returncode, "\n".join(printed).strip()


def open_clone(folder: Path) -> Clone:
    """Return a `Clone` of a folder that is one already."""
    clone = Clone.__new__(Clone)
    clone.folder = folder
    return clone


# Run a stage with a limit to its memory, to which that of its imports is added.
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
total = pages * resource.getpagesize() + limit * 10**6
resource.setrlimit(resource.RLIMIT_AS, (total, total))
runpy.run_path(script, run_name="__main__")
"""
