"""Each setting of params.yaml is changed in turn: real DVC runs the stages that track it.

The stages are dummies with the params of dvc.yaml. Each writes a constant, so only settings make
them run. DVC's run cache is full: for a value that DVC does not compare, it would restore the old
output instead of running the stage (treeverse/dvc #10296).
"""

import copy
import subprocess

import pytest
import yaml
from cloned import ROOT
from dvc.repo import Repo

from lesions.config.models import Training

# One backbone, one model with the settings of all architectures, and two sets.
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PARAMS["sets"]["elsewhere"] = copy.deepcopy(PARAMS["sets"]["study"])
PARAMS["backbones"] = {"vgg16": PARAMS["backbones"]["vgg16"]}
PARAMS["backbones"]["vgg16"] |= {"version": 0}
MODELS = PARAMS["models"]
MERGED = MODELS["cnn"] | MODELS["efficientnet_lite0"] | MODELS["vgg16"]
DEFAULTS = {
    name: field.get_default(call_default_factory=True)
    for name, field in Training.model_fields.items()
    if not field.is_required()
}
PARAMS["models"] = {"vgg16": DEFAULTS | MERGED}
PARAMS["models"]["vgg16"] |= {"weights": "random", "weights_sha256": None, "network": "VGG16"}
PARAMS["models"]["vgg16"] |= {"version": 0, "preprocessing": "unit", "pooling": "average"}
PARAMS["models"]["vgg16"] |= {"trainable": "head", "blocks": 2}
PARAMS["exports"] = {"vgg16": {"weights": "float16", "false_alarms": 0.02}}
PARAMS["ensembles"] = {"mean": {"models": ["vgg16"], "weights": "equal"}}
# DVC 3.67 reads a value of pygtrie's that 2.5 calls deprecated.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]


def dummy(name, stage):
    """Return a stage of dvc.yaml that only logs that it ran."""
    keys = {"foreach": ".${key}", "matrix": ".${item.model}.${item.set}"}
    kind = next((kind for kind in keys if kind in stage), None)
    out = f"out/{name}{keys.get(kind, '')}"
    body = {
        "cmd": f'echo "{out}" >> log; echo the same > "{out}"',
        "params": stage.get("do", stage).get("params", []),
        "deps": ["input"],
        "outs": [out],
    }
    if kind == "foreach":
        return {"foreach": stage["foreach"], "do": body}
    return body if kind is None else {"matrix": stage["matrix"], **body}


class Study:
    """A folder with the dummies, all of which have run once."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        dummies = {name: dummy(name, stage) for name, stage in stages.items()}
        (folder / "dvc.yaml").write_text(
            yaml.safe_dump({"stages": dummies}, sort_keys=False), encoding="utf-8"
        )
        (folder / "input").write_text("the same", encoding="utf-8")
        (folder / "out").mkdir()
        self.write(PARAMS)
        Repo.init(folder).close()
        self.n_stages = len(self.run())
        self.lock = (folder / "dvc.lock").read_bytes()

    def write(self, params):
        (self.folder / "params.yaml").write_text(
            yaml.safe_dump(params, sort_keys=False), encoding="utf-8"
        )

    def run(self):
        """Run DVC; return the outputs of the stages that really ran."""
        log = self.folder / "log"
        log.write_text("", encoding="utf-8")
        with Repo(self.folder) as repo:
            repo.reproduce()
        return sorted(log.read_text(encoding="utf-8").splitlines())

    def readers_of(self, setting):
        """Return the outputs of the stages that track a setting, or a section that it is in."""
        with Repo(self.folder) as repo:
            return sorted(
                str(stage.outs[0])
                for stage in repo.index.stages
                if any(
                    f"{setting}.".startswith(f"{param}.")
                    for dep in stage.deps
                    for param in getattr(dep, "params", ())
                )
            )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Study(folder)


def test_all_stages_run_once_and_not_again(study):
    assert study.n_stages == 34
    assert study.run() == []


def other_values(value):
    """Return other values for a setting: a close one, then empty ones."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1]
        case float():
            return [value / 2 or 0.25]
        case str():
            return [f"{value}x", None]
        case None:
            return ["word", {"a": 1}]
        case list():
            return [[*value, 1], [] if value else [[]]]
        case dict():
            return [None]


def all_changes(section, keys=()):
    """Return keys and other values of every setting, and of the whole section `split`."""
    for key, value in section.items():
        here = (*keys, key)
        if isinstance(value, dict):
            yield from all_changes(value, here)
        if not isinstance(value, dict) or key == "split":
            yield from ((here, other) for other in other_values(value))


CHANGES = [
    pytest.param(keys, value, id=f"{'.'.join(keys)}={value}") for keys, value in all_changes(PARAMS)
]


@pytest.mark.parametrize(("keys", "value"), CHANGES)
def test_a_changed_setting_runs_every_stage_that_reads_it(study, keys, value):
    params = copy.deepcopy(PARAMS)
    section = params
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    study.write(params)
    try:
        readers = study.readers_of(".".join(keys))
        assert readers
        assert study.run() == readers
    finally:
        study.write(PARAMS)
        (study.folder / "dvc.lock").write_bytes(study.lock)
