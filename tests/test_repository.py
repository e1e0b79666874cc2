"""Promises of the repository as a whole."""

import ast
import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
# Their values are tracked as params; as deps they would retrain everything at each new option.
TRACKED_AS_PARAMS = {"src/lesions/stage.py"} | {
    file.relative_to(ROOT).as_posix() for file in (SRC / "lesions/params").glob("*.py")
}
ARCHITECTURES = {
    f"src/lesions/networks/{file.stem}.py"
    for file in (SRC / "lesions/networks").glob("*.py")
    if file.stem not in ("__init__", "parts")
}


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def script_of(stage: str) -> str:
    """`stages/<stage>.py`, or, of `<stage>_external`, the script of `<stage>`."""
    return f"stages/{stage.removesuffix('_external')}.py"


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def imported(file: str) -> set[str]:
    """Files of this repository that a file imports by itself."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            path = SRC / name.replace(".", "/")
            for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                if candidate.is_file() and candidate != SRC / "lesions/__init__.py":
                    found.add(candidate.relative_to(ROOT).as_posix())
    return found


def imported_through_others(file: str) -> set[str]:
    """Files of this repository that a file imports, and that these import, and so on."""
    found, to_read = set(), [file]
    while to_read:
        new = imported(to_read.pop()) - found - TRACKED_AS_PARAMS
        found |= new
        to_read += new
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_deps_of_a_stage_are_the_modules_that_it_imports(stage):
    script = script_of(stage)
    assert body(stage)["cmd"].split()[:2] == ["python", script]
    declared = {dep for dep in body(stage)["deps"] if dep.startswith(("src/", "stages/"))}
    needed = imported_through_others(script) | {script}
    architecture = "src/lesions/networks/${item.architecture}.py"
    if "src/lesions/networks/__init__.py" in needed:
        needed |= {architecture}
        needed |= set().union(*(imported_through_others(file) for file in ARCHITECTURES))
    lines = "\n".join(f"      - {dep}" for dep in sorted(needed - declared))
    assert needed <= declared, f"add to the deps of {stage} in dvc.yaml:\n{lines}"
    assert declared <= needed, f"{stage} does not import {sorted(declared - needed)}"


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_stages_that_need_tensorflow_wait_for_it(stage):
    """Its import takes seconds; all of it goes through `lesions.runtime`."""
    needs = {"features", "train", "predict", "predict_external"}
    assert ("src/lesions/runtime.py" in imported_through_others(script_of(stage))) == (
        stage in needs
    )


@pytest.mark.parametrize("stage", STAGES)
def test_the_settings_that_a_stage_reads_are_those_that_dvc_tracks(stage):
    """`params.x` in the script must stand under `params:`; `params.models[...]` as models.<key>."""
    tree = ast.parse((ROOT / script_of(stage)).read_text())
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "params")
            or (isinstance(node.value, ast.Call) and ast.unparse(node.value) == "read_params()")
        )
    }
    if "params.model_dump()" in (ROOT / script_of(stage)).read_text():
        read = set(PARAMS)  # it shows all of them
    tracked = {str(param).split(".")[0] for param in body(stage).get("params", [])}
    assert read == tracked


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_says_in_one_sentence_what_it_does(stage):
    desc = body(stage)["desc"]
    assert desc.endswith(".")
    # DVC cuts at 80 characters; the longest model's name takes the place of ${key}.
    longest = max(PARAMS["models"], key=len)
    for name in ("${key}", "${item.model}", "${item.set}"):
        desc = desc.replace(name, longest)
    assert len(desc) <= 80


@pytest.mark.parametrize("stage", STAGES)
def test_the_flags_of_a_stage_are_paths_that_it_declares(stage):
    """What a command names and DVC does not know, it can neither watch nor remove."""
    outs = []
    for kind in ("outs", "metrics", "plots"):
        outs += [
            out if isinstance(out, str) else next(iter(out)) for out in body(stage).get(kind, [])
        ]
    names = {"${key}", "${item.model}_on_${item.set}"}
    known = {*body(stage)["deps"], *outs, *names, ".resume/${key}"}
    words = shlex.split(body(stage)["cmd"])
    for flag, value in zip(words[2::2], words[3::2], strict=True):
        assert flag.startswith("--")
        assert value in known, f"{flag} {value} of {stage} is no dep and no out"


def test_no_model_has_left_files_behind():
    names = set(PARAMS["models"])
    sets = set(PARAMS["data"]["external"])
    names |= {f"{model}_on_{name}" for model in names for name in sets} | sets
    folders = {
        name.rsplit("/", 1)[0]
        for name in tracked_files()
        if name.startswith(("metrics/", "plots/", "predictions/")) and name.count("/") > 1
    }
    for folder in folders - {"plots/cohort"}:
        stems = {Path(name).stem for name in tracked_files() if Path(name).parent == Path(folder)}
        assert stems <= names, folder


def test_the_library_never_imports_a_stage():
    for file in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            assert "stages" not in [getattr(node, "module", None), *names], file


def test_nothing_large_and_no_weights_are_in_git():
    for name in tracked_files():
        assert (ROOT / name).stat().st_size <= 500_000, name
        assert Path(name).suffix not in {".keras", ".h5", ".npy", ".npz", ".zip", ".jpg"}, name


def test_every_committed_metric_is_finite():
    def check(part):
        if isinstance(part, dict):
            for value in part.values():
                check(value)
        elif isinstance(part, float):
            assert math.isfinite(part)

    for name in tracked_files():
        if name.startswith("metrics/") and name.endswith(".json"):
            check(json.loads((ROOT / name).read_text()))


def test_the_readme_quotes_what_is_recorded_and_the_graph_that_dvc_draws():
    checked = subprocess.run(
        [sys.executable, "tools/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_every_profile_says_its_own_name():
    for file in (ROOT / "profiles").glob("*.yaml"):
        assert yaml.safe_load(file.read_text())["profile"] == file.stem
