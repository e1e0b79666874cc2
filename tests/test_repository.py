"""Promises of the repository as a whole."""

import ast
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
# Their values are tracked as params; as deps they would retrain everything at each new option.
TRACKED_AS_PARAMS = {"src/lesions/stage.py", "src/lesions/environment.py"} | {
    file.relative_to(ROOT).as_posix() for file in (SRC / "lesions/params").glob("*.py")
}
ARCHITECTURES = {
    f"src/lesions/networks/{file.stem}.py"
    for file in (SRC / "lesions/networks").glob("*.py")
    if file.stem not in ("__init__", "parts")
}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Give the files as Git has them staged: what a run left in the working tree is not judged."""
    folder = tmp_path_factory.mktemp("staged")
    command = ["git", "checkout-index", "--all", f"--prefix={folder}/"]
    subprocess.run(command, cwd=ROOT, check=True)
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # for DVC, which draws the graph
    return folder


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def script_of(stage: str) -> str:
    """`stages/<stage>.py`, or, of `<stage>_external`, the script of `<stage>`."""
    return f"stages/{stage.removesuffix('_external')}.py"


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def imported(file: str) -> set[str]:
    """Files of this repository that a file imports by itself."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
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
    assert body(stage)["cmd"].split()[:3] == ["PYTHONPATH=src", "python", script]
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
    tree = ast.parse((ROOT / script_of(stage)).read_text(encoding="utf-8"))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "params")
            or (isinstance(node.value, ast.Call) and ast.unparse(node.value) == "read_params()")
        )
    }
    if "params.model_dump()" in (ROOT / script_of(stage)).read_text(encoding="utf-8"):
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
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        assert flag.startswith("--")
        assert value in known, f"{flag} {value} of {stage} is no dep and no out"


def test_no_model_has_left_files_behind(staged):
    params = yaml.safe_load((staged / "params.yaml").read_text(encoding="utf-8"))
    names = set(params["models"])
    sets = set(params["data"]["external"])
    names |= {f"{model}_on_{name}" for model in names for name in sets} | sets
    folders = {
        name.rsplit("/", 1)[0]
        for name in tracked_files()
        if name.startswith(("metrics/", "plots/", "predictions/")) and name.count("/") > 1
    }
    for folder in folders - {"plots/cohort"}:
        stems = {Path(name).stem for name in tracked_files() if Path(name).parent == Path(folder)}
        assert stems <= names, folder


TEXT_MODE = re.compile("[rwax+t]+")


def opens_without_encoding(call: ast.Call) -> bool:
    """Tell whether a call reads or writes text and leaves the encoding to the user's locale."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {word.arg for word in call.keywords}
    if "encoding" in given or None in given:
        return False
    modes = [ast.literal_eval(value) for value in call.args if isinstance(value, ast.Constant)]
    opens = name == "open" and any(isinstance(m, str) and TEXT_MODE.fullmatch(m) for m in modes)
    reads = isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text")
    runs = name in ("run", "Popen", "check_output") and "text" in given
    return opens or reads or runs


@pytest.mark.parametrize("folder", ["src", "stages", "tools", "tests", "benchmarks"])
def test_every_text_is_read_and_written_as_utf_8(folder):
    """Beside ruff's PLW1514, which sees only the paths whose type it can infer."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_without_encoding(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("path.read_text()", True),
        ("path.write_text(x, encoding='utf-8')", False),
        ("open(name, 'w')", True),
        ("path.open('rb')", False),
        ("subprocess.run(x, text=True)", True),
        ("archive.open(member)", False),
    ],
)
def test_a_text_that_leaves_its_encoding_open_is_found(code, expected):
    assert opens_without_encoding(ast.parse(code).body[0].value) == expected


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_fixes_its_environment_before_it_imports_anything_else(stage):
    tree = ast.parse((ROOT / script_of(stage)).read_text(encoding="utf-8"))
    first = next(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "lesions.stage"


def test_the_library_never_imports_a_stage():
    for file in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            assert "stages" not in [getattr(node, "module", None), *names], file


def test_nothing_large_and_no_weights_are_in_git():
    for name in tracked_files():
        assert (ROOT / name).stat().st_size <= 500_000, name
        assert Path(name).suffix not in {".keras", ".h5", ".npy", ".npz", ".zip", ".jpg"}, name


def test_every_committed_metric_is_finite(staged):
    def check(part):
        if isinstance(part, dict):
            for value in part.values():
                check(value)
        elif isinstance(part, float):
            assert math.isfinite(part)

    for name in tracked_files():
        if name.startswith("metrics/") and name.endswith(".json"):
            check(json.loads((staged / name).read_text(encoding="utf-8")))


def test_the_readme_quotes_what_is_recorded_and_the_graph_that_dvc_draws(staged):
    checked = subprocess.run(
        [sys.executable, "tools/readme.py", "--check"],
        cwd=staged,
        capture_output=True,
        encoding="utf-8",
    )
    assert checked.returncode == 0, checked.stderr


def test_no_committed_validation_curve_stays_at_one_class(staged):
    """What the first command shows must be worth looking at, from the first epochs on."""
    curves = sorted((staged / "plots/curves").glob("*.csv"))
    assert [file.stem for file in curves] == sorted(PARAMS["models"])
    for file in curves:
        curve = pd.read_csv(file)
        assert (curve["val_n_predicted_classes"] > 1).all(), file.stem
        assert curve["val_accuracy"].iloc[:3].max() > 0.3, file.stem


def test_every_profile_says_its_own_name():
    for file in (ROOT / "profiles").glob("*.yaml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["profile"] == file.stem
