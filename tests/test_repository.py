"""Promises of the repository as a whole."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml
from cloned import ROOT
from dvc.repo import Repo

from lesions.config.backbones import Backbone
from lesions.config.models import Model

SRC = ROOT / "src"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# Without those of ensembles, which are the same.
STAGES = {name: stage for name, stage in PIPELINE.items() if not name.endswith("_ensemble")}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
NETWORKS = "src/lesions/networks"
# Their values are tracked as params; as deps they would retrain everything at each new option.
TRACKED_AS_PARAMS = ("src/lesions/config/", "src/lesions/pipeline/")
# What `load_build` imports by name, which no walk over import statements can see.
ARCHITECTURES = {
    f"{NETWORKS}/{name}.py"
    for model in (*get_args(get_args(Backbone)[0]), *get_args(get_args(Model)[0]))
    for name in get_args(model.model_fields["architecture"].annotation)
}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Return a folder with the files that Git has staged, not those that a run has left."""
    folder = tmp_path_factory.mktemp("staged")
    command = ["git", "checkout-index", "--all", f"--prefix={folder}/"]
    subprocess.run(command, cwd=ROOT, check=True)
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # DVC draws the graph
    return folder


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


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
        new = imported(to_read.pop()) - found
        new = {name for name in new if not name.startswith(TRACKED_AS_PARAMS)}
        found |= new
        to_read += new
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_deps_of_a_stage_are_the_packages_and_modules_that_it_imports(stage):
    script = f"stages/{stage}.py"
    assert body(stage)["cmd"].split()[:3] == ["PYTHONPATH=src", "python", script]
    declared = {dep for dep in body(stage)["deps"] if dep.startswith(("src/", "stages/"))}
    needed = imported_through_others(script) | {script}
    if imported(script) & {f"{NETWORKS}/__init__.py"}:
        needed |= {f"{NETWORKS}/${{item.architecture}}.py"}
        needed |= set().union(*(imported_through_others(file) for file in ARCHITECTURES))
    missing = {name for name in needed if not is_covered(name, declared)}
    lines = "\n".join(f"        - {dep}" for dep in sorted(missing))
    assert not missing, f"add to the deps of {stage} in dvc.yaml:\n{lines}"
    unused = {dep for dep in declared if not any(is_covered(name, {dep}) for name in needed)}
    assert not unused, f"{stage} imports nothing of {sorted(unused)}"


def is_covered(name: str, deps: set[str]) -> bool:
    """Return whether a file is one of the deps, or in a folder that is one."""
    return name in deps or any(name.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("stage", ["calibrate", "evaluate", "mistakes"])
def test_what_scores_a_model_scores_an_ensemble(stage):
    text = json.dumps(PIPELINE[stage])
    assert json.loads(text.replace("${models}", "${ensembles}")) == PIPELINE[f"{stage}_ensemble"]


@pytest.mark.parametrize("stage", ["features", "train"])
def test_what_computes_a_model_is_listed_file_by_file(stage):
    """An edit elsewhere in a package must not retrain."""
    code = [dep for dep in body(stage)["deps"] if dep.startswith(("src/", "stages/"))]
    assert all(dep.endswith(".py") for dep in code)


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_stages_that_need_tensorflow_wait_for_it(stage):
    """Its import takes seconds; all of it goes through `lesions.networks.backend`."""
    imports = imported_through_others(f"stages/{stage}.py")
    assert (f"{NETWORKS}/backend.py" in imports) == (
        stage in ("augment", "embed", "export", "features", "train", "predict")
    )


@pytest.mark.parametrize("stage", STAGES)
def test_the_settings_that_a_stage_reads_are_those_that_dvc_tracks(stage):
    """`params.x` in the script is in its `params:`; `params.models[...]` is models.<key> there."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "params")
            or (isinstance(node.value, ast.Call) and ast.unparse(node.value) == "read_params()")
        )
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) in ("params.model_dump", "params.shown_settings"):
            read -= {"model_dump", "shown_settings"}
            read |= set(*(ast.literal_eval(word.value) for word in call.keywords)) or set(PARAMS)
    tracked = {str(param).split(".")[0] for param in body(stage).get("params", [])}
    assert read == tracked


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_says_in_one_sentence_what_it_does(stage):
    desc = body(stage)["desc"]
    assert desc.endswith(".")
    # DVC cuts at 80 characters; names have at most 20, and one of 14 must fit twice.
    for variable in ("${key}", "${item.model}", "${item.set}"):
        desc = desc.replace(variable, "a" * 14)
    assert len(desc) <= 80


@pytest.mark.parametrize("stage", STAGES)
def test_the_flags_of_a_stage_are_paths_that_it_declares(stage):
    """What a command names and DVC does not know, it can neither watch nor remove."""
    outs = []
    for kind in ("outs", "metrics", "plots"):
        outs += [
            out if isinstance(out, str) else next(iter(out)) for out in body(stage).get(kind, [])
        ]
    names = {"${key}", "${item.model}", "${item.set}"}
    known = {*body(stage)["deps"], *outs, *names, ".checkpoints/${key}"}
    words = shlex.split(body(stage)["cmd"])
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        assert flag.startswith("--")
        assert value in known, f"{flag} {value} of {stage} is no dep and no out"


def test_no_dropped_model_or_set_has_left_files_behind(staged):
    """Every committed file below an output folder belongs to an output of the pipeline."""
    with Repo(staged) as repo:
        outs = {Path(str(out)) for stage in repo.index.stages for out in stage.outs}
    folders = ("metrics/", "plots/", "predictions/", "evaluation/")
    for name in map(Path, filter(lambda name: name.startswith(folders), tracked_files())):
        assert {name, *name.parents} & outs, f"{name} is no output of dvc.yaml"


TEXT_MODE = re.compile("[rwax+t]+")


def opens_without_encoding(call: ast.Call) -> bool:
    """Return whether a call reads or writes text in whatever encoding the locale has."""
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
def test_a_call_without_encoding_is_found(code, expected):
    assert opens_without_encoding(ast.parse(code).body[0].value) == expected


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_fixes_its_environment_before_it_imports_anything_else(stage):
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    first = next(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "lesions.pipeline.cli"


def test_the_library_never_imports_a_stage():
    for file in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            assert "stages" not in [getattr(node, "module", None), *names], file


def test_nothing_large_and_no_weights_are_in_git():
    released = "src/lesions/released/"  # the one model that the package brings
    for name in tracked_files():
        largest = 8_000_000 if name.startswith(released) else 500_000
        assert (ROOT / name).stat().st_size <= largest, name
        if name.startswith("src/lesions/examples/"):  # synthetic, see test_examples.py
            continue
        assert Path(name).suffix not in {".keras", ".h5", ".npy", ".npz", ".zip", ".jpg"}, name
    assert len([name for name in tracked_files() if name.endswith(".onnx")]) == 1


def test_every_committed_metric_is_finite(staged):
    def refuse(constant):
        raise AssertionError(constant)  # NaN, Infinity, -Infinity

    for name in tracked_files():
        if name.startswith(("metrics/", "evaluation/", "plots/")) and name.endswith(".json"):
            json.loads((staged / name).read_text(encoding="utf-8"), parse_constant=refuse)


def test_the_tables_and_the_graph_in_readme_and_docs_are_current():
    command = [sys.executable, "tools/readme.py", "--check"]  # of the files that Git has staged
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
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


def test_no_folder_has_more_than_a_dozen_modules():
    for folder in [SRC / "lesions", *filter(Path.is_dir, SRC.rglob("*"))]:
        modules = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        assert len(modules) <= 12, folder
        assert not modules or (folder / "__init__.py").is_file(), folder


def test_every_room_says_what_it_is_for():
    for file in SRC.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), file


def test_only_data_and_published_facts_know_a_diagnosis_by_its_code():
    known = ("datasets/ham10000.py", "datasets/synthetic/")
    code = re.compile(r"""["'](akiec|bcc|bkl|df|mel|nv|vasc|p_\w+)["']""")
    folder = ROOT / "src/lesions"
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.py")}
    found = {name for name, file in files.items() if code.search(file.read_text(encoding="utf-8"))}
    assert {name for name in found if not name.startswith(known)} == set()
    assert found  # those that are let through have some


def holds_test_scores(folder: Path) -> bool:
    """Return whether a folder of `results/` holds scores, unless all say that they are of val."""
    if folder.name in ("ablations", "near-duplicates"):
        return False  # tools/ablation.py refuses to score test images; an audit scores no model
    tracked = [file for file in map(Path, tracked_files()) if folder in file.parents]
    files = [file for file in tracked if file.name == "details.json" or "details" in file.parts]
    if not files:
        return any(file.suffix in (".json", ".csv") for file in tracked)
    details = [json.loads((ROOT / file).read_text(encoding="utf-8")) for file in files]
    return any(found.get("partition", "test") == "test" for found in details)


def test_each_look_at_test_images_is_written_down():
    rows = (ROOT / "results/LOOKS.md").read_text(encoding="utf-8").splitlines()
    looks = [
        [cell.strip() for cell in row.strip("| ").split("|")] for row in rows if row[:3] == "| 2"
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date, *_ in looks)
    assert all(len(look) == 4 and all(look) for look in looks)
    folders = {Path(*Path(file).parts[:2]) for file in tracked_files() if file[:8] == "results/"}
    scored = {folder.name for folder in folders if holds_test_scores(folder)}
    assert scored <= {study for _, study, *_ in looks}
    assert {"paper", "paper-28px", "isic2018"} <= scored


def is_official_test(source: dict) -> bool:
    """Return whether a source is the official test images of ISIC 2018 task 3, by name or folder.

    Settings of version 0.2 have the source's kind as text in `source`.
    """
    files = [file["url"] for file in source.get("files") or []]
    names = re.compile(r"isic.?2018.?(task3.?)?test", re.IGNORECASE)
    return any(names.search(str(text)) for text in (source.get("dataset"), source["path"], *files))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"path": "data/source", "dataset": "isic2018_test"}, True),
        ({"path": "../isic2018_test", "dataset": None}, True),
        ({"path": "a", "files": [{"url": "https://x.org/ISIC2018_Task3_Test_Input.zip"}]}, True),
        ({"path": "data/source", "dataset": "ham10000"}, False),
        ({"path": "ISIC2018_Task3_Training_Input"}, False),
    ],
)
def test_the_official_test_images_are_recognised(source, expected):
    assert is_official_test(source) == expected


def test_no_study_is_trained_on_the_official_test_images_of_isic_2018():
    names = ("params.yaml", "profiles/", "results/")
    files = [file for file in tracked_files() if file.startswith(names) and file.endswith(".yaml")]
    assert len(files) > 10
    for file in files:
        params = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
        sets = params.get("sets") or {"study": {"source": params["data"]}}
        assert not is_official_test(sets["study"]["source"]), file
        for name, photographs in sets.items():
            assert name == "study" or photographs["split"] == {"by": "none"}, file
