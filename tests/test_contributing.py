"""CONTRIBUTING.md, followed word by word in a clone; the tests build on one another, in order."""

import re
import sys
import tarfile

import pandas as pd
import pytest
import yaml
from cloned import ROOT

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = re.compile(r"# (?P<file>[\w./]+\.\w+)(?:, (?P<where>.+))?\n")


def read_blocks(section):
    """Return language, file, where in the file, and text of each block of a section."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    body = re.split(r"^## ", text.partition(f"\n## {section}\n")[2], flags=re.MULTILINE)[0]
    found = []
    for block in BLOCK.finditer(body):
        if header := HEADER.match(block["text"]):
            rest = block["text"][header.end() :]
            found.append((block["language"], header["file"], header["where"], rest))
    assert found, section
    return found


def apply(clone, section):
    """Make the edits of a section in the clone, as a reader would."""
    for language, name, where, text in read_blocks(section):
        file = clone.folder / name
        if language == "diff":
            lines = text.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            assert file.read_text(encoding="utf-8").count(old) == 1, f"{name}: {old}"
            clone.replace(name, old, new)
        elif where is None:
            assert not file.exists()
            file.write_text(text, encoding="utf-8")
        elif where == "at the end":
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"\n\n{text}")
        elif above := re.fullmatch(r"above (\w+)", where):
            insert(file, rf"^{above[1]} = ", f"{text}\n\n", after=False)
        else:
            section_key = re.fullmatch(r"below (\w+):", where)[1]
            insert(file, rf"^{section_key}:.*\n", text, after=True)


def lint(clone, *sections):
    """Run the linters on the Python files that sections of the page name."""
    named = {name for section in sections for _, name, _, _ in read_blocks(section)}
    files = [name for name in sorted(named) if name.endswith(".py")]
    clone.run("ruff", "check", *files)
    clone.run("ruff", "format", "--check", *files)
    clone.run("lint-imports")


def insert(file, pattern, text, *, after):
    content = file.read_text(encoding="utf-8")
    (match,) = re.finditer(pattern, content, re.MULTILINE)
    at = match.end() if after else match.start()
    file.write_text(content[:at] + text + content[at:], encoding="utf-8")


@pytest.fixture(scope="module")
def followed(clone):
    """The clone with the models and architectures of CONTRIBUTING.md, and the stages that ran."""
    apply(clone, "Add a model")
    apply(clone, "Add an architecture")

    def save_time(params):
        for model in ("cnn", "vgg16"):  # other tests run them
            del params["models"][model]
        for model in params["models"].values():
            model["epochs"] = 2

    clone.edit(save_time)
    ran = clone.repro()
    clone.run(sys.executable, "tools/readme.py")
    clone.commit("followed")
    return clone, ran


def test_every_code_block_that_names_a_file_is_applied_here():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = [block for block in BLOCK.finditer(text) if block["language"] not in ("sh", "text")]
    assert all(HEADER.match(block["text"]) for block in blocks)


@pytest.mark.slow
def test_each_new_model_is_trained_and_compared(followed):
    clone, ran = followed
    models = {"vgg16_small", "separable", "vgg19"}
    assert {f"train@{model}" for model in models} <= set(ran)
    assert "features@vgg19" in ran
    scores = pd.read_csv(clone.folder / "plots/comparison/scores.csv")
    assert models <= set(scores["model"])
    assert "up to date" in clone.run("dvc", "repro", "--dry", "--allow-missing").splitlines()[-1]


@pytest.mark.slow
def test_the_repositorys_tests_and_linters_accept_them(followed):
    """All but the curve of a good training: two epochs on 90 images are none."""
    clone, _ = followed
    quick = ("tests/test_repository.py", "tests/networks/test_architectures.py")
    deselected = "tests/test_repository.py::test_no_committed_validation_curve_stays_at_one_class"
    pytest_command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    clone.run(*pytest_command, *quick, "--deselect", deselected)
    lint(clone, "Add an architecture")


@pytest.mark.slow
def test_what_a_page_removes_of_a_model_is_all_that_git_has_of_it(followed):
    clone, _ = followed
    page = (ROOT / "docs/how-to/add-a-model.md").read_text(encoding="utf-8")
    clone.edit(lambda params: params["models"].pop("vgg16_small"))
    clone.edit(lambda params: params["backbones"].pop("vgg16"))
    for command in re.findall(r"^rm .*vgg16_small.*$", page, re.MULTILINE):
        clone.run("bash", "-c", command)
    clone.run("git", "add", "--all")
    test = "tests/test_repository.py::test_no_dropped_model_or_set_has_left_files_behind"
    clone.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)


@pytest.mark.slow
def test_a_stage_a_score_and_a_source_work_as_described(followed, small_world):
    clone, _ = followed
    clone.run("git", "checkout", "--quiet", "--force", "HEAD", ".")
    apply(clone, "Add a stage")
    apply(clone, "Add a score")
    apply(clone, "Add a source")
    ran = clone.repro("census", "evaluate@separable-study")
    assert "census" in ran
    counts = pd.read_csv(clone.folder / "plots/census.csv")
    assert counts.columns.tolist() == ["partition", "dx", "n_lesions"]
    assert '"specificity_macro": {' in (
        clone.folder / "evaluation/study/separable/details.json"
    ).read_text(encoding="utf-8")

    with tarfile.open(name=clone.folder / "photographs.tar", mode="w") as archive:
        archive.add(small_world, "photographs")

    def use_tar(params):
        source = {"kind": "tar", "path": "photographs.tar", "extra_images": "refuse"}
        params["sets"]["study"]["source"] = source

    clone.edit(use_tar)
    assert clone.repro("ingest@study") == ["ingest@study"]
    assert len(list((clone.folder / "data/sets/study/raw").glob("*/*.jpg"))) == 90
    lint(clone, "Add a stage", "Add a score", "Add a source")
    (clone.folder / "photographs.tar").unlink()
    clone.run("git", "add", "--all")
    names = "deps or settings or flags or sentence or room or modules or encoding"
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    clone.run(*command, "tests/test_repository.py", "-k", names)


def test_its_yaml_is_that_of_the_pipeline():
    """The examples have the keys of the demonstration's entries, in their order."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for _, name, where, text in read_blocks("Add an architecture"):
        if name == "params.yaml" and where == "below models:":
            (entry,) = yaml.safe_load(text).values()
            like = params["models"]["cnn" if entry["inputs"] == "images.npy" else "vgg16"]
            assert [key for key in like if key in entry] == list(entry)
