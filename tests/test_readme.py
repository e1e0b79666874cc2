"""`tools/readme.py`: the blocks of README.md and docs/ that quote results, files and commands."""

import json
import shutil
import sys

import pytest
from cloned import ROOT, Clone

sys.path.append(str(ROOT / "tools"))
import readme

TABLE = "results/by-image-or-group/table.md"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def quote(clone):
    """Return a function that stages a README quoting sources; the clone is cleaned afterwards."""

    def write(*sources, file="README.md"):
        shutil.rmtree(clone.folder / "docs", ignore_errors=True)
        path = clone.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        (clone.folder / "README.md").write_text("# Study\n", encoding="utf-8")
        blocks = [f"Before.\n\n<!-- from {source} -->\n<!-- end -->\n" for source in sources]
        path.write_text("\n".join([*blocks, "After.\n"]), encoding="utf-8")
        clone.run("git", "add", "--all")
        return path

    yield write
    clone.run("git", "reset", "--quiet", "--hard")


@pytest.fixture
def check(clone, monkeypatch):
    """Return a function that checks the blocks of the clone; it returns what is wrong, or None."""
    monkeypatch.chdir(clone.folder)
    monkeypatch.setattr(sys, "argv", ["readme.py", "--check"])

    def run():
        try:
            readme.main()
        except SystemExit as error:
            return error.code

    return run


@pytest.fixture
def fill(clone, monkeypatch):
    """Return a function that fills and stages the blocks of the clone; it returns a file's text."""

    def run(path):
        with monkeypatch.context() as context:
            context.chdir(clone.folder)
            context.setattr(sys, "argv", ["readme.py"])
            readme.main()
        clone.run("git", "add", "--all")
        return path.read_text(encoding="utf-8")

    return run


def test_a_block_is_filled_and_text_around_it_stays(quote, fill):
    path = quote(TABLE)
    table = (ROOT / TABLE).read_text(encoding="utf-8").strip()
    expected = f"Before.\n\n<!-- from {TABLE} -->\n\n{table}\n\n<!-- end -->\n\nAfter.\n"
    assert fill(path) == expected
    assert fill(path) == expected


def test_every_stale_block_is_named_and_nothing_is_written(quote, fill, check):
    path = quote("results/paper-28px", TABLE, file="docs/explanation/results.md")
    text = path.read_text(encoding="utf-8")
    assert check().splitlines() == [
        "Stale blocks; run 'make readme' and commit:",
        "docs/explanation/results.md: results/paper-28px",
        f"docs/explanation/results.md: {TABLE}",
    ]
    assert path.read_text(encoding="utf-8") == text
    fill(path)
    assert check() is None


def test_the_check_reads_what_git_has_staged_not_what_a_run_has_left(clone, quote, fill, check):
    fill(quote(TABLE))
    table = clone.folder / TABLE
    table.write_text(table.read_text(encoding="utf-8") + "| changed |\n", encoding="utf-8")
    assert check() is None
    clone.run("git", "add", "--all")
    assert f"README.md: {TABLE}" in check()


def test_a_missing_source_is_named(quote, check):
    quote("results/nothing.md")
    message = "README.md: the block from results/nothing.md cannot be filled: "
    assert message in check()
    quote("results/by-image-or-group")
    message = "cannot be filled: results/by-image-or-group/params.yaml is missing"
    assert message in check()


def test_a_command_is_quoted_with_its_output_and_the_graph_as_a_drawing(clone, quote, fill, check):
    text = fill(quote("dvc --version", "dvc dag --md --collapse-foreach-matrix"))
    version = clone.run("dvc", "--version").strip()
    assert f"```console\n$ dvc --version\n{version}\n```\n\n<!-- end -->" in text
    assert "collapse-foreach-matrix -->\n\n```mermaid\nflowchart TD\n" in text
    assert check() is None


@pytest.mark.parametrize(
    "source", ["results/paper-28px", "results/paper-28px/metrics/comparison.json"]
)
def test_an_old_record_is_a_narrow_table_with_published_scores_and_one_line_below(
    quote, fill, source
):
    lines = fill(quote(source)).splitlines()
    start = lines.index(
        "| model | source | images | accuracy | balanced accuracy | macro F1 | ROC AUC |"
    )
    recorded = json.loads(
        (ROOT / "results/paper-28px/metrics/comparison.json").read_text(encoding="utf-8")
    )
    cells = [
        "{value:.3f} ({low:.3f}–{high:.3f})".format(**recorded["cnn"]["measured"][measure])
        for measure in ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")
    ]
    assert lines[start + 2] == f"| cnn | measured | 2003 | {' | '.join(cells)} |"
    # The paper's own: accuracy .72, macro F1 .52.
    assert lines[start + 3] == "| cnn | published | 2003 | 0.72 | – | 0.52 | – |"
    assert lines[start + 9].startswith(
        # 1,338 of 2,003 test images are nv: 0.668.
        "Profile paper, split by image. Brackets: 95 % bootstrap CI, resampled by lesion. "
        "Majority-class baseline (nv): accuracy 0.668, balanced accuracy 0.143."
    )
    assert "random weights: resnet50." in lines[start + 9]
    assert lines[start + 9].endswith("not a medical device: do not base any diagnosis on it.")


@pytest.mark.parametrize(
    ("source", "root", "comparison"),
    [
        ("plots/comparison", ".", "plots/comparison"),
        ("plots/comparison/comparison.json", ".", "plots/comparison"),
        ("results/mine", "results/mine", "results/mine/comparison"),
        ("results/mine/comparison", "results/mine", "results/mine/comparison"),
    ],
)
def test_the_current_study_and_new_records_are_read_from_their_files(
    clone, quote, fill, check, source, root, comparison
):
    path = quote(source)
    folder, recorded = clone.folder / comparison, clone.folder / root
    classes = {"mel": {"n_images": 30}, "nv": {"n_images": 90}}
    contents = {"differences.json": {"pairs": []}, "comparison.json": {}}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    measures = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")
    others = ["precision_macro", "recall_macro", "precision_weighted", "recall_weighted"]
    row = {"model": "cnn", "source": "measured", "n_images": 120, "n_diagnoses": 2}
    row |= dict.fromkeys([*others, "f1_weighted", "only_predicted"], "")
    for measure in measures:
        row |= {measure: 0.5, f"{measure}_low": 0.4, f"{measure}_high": 0.6}
    rows = [row, dict.fromkeys(row, "") | {"model": "a", "source": "published", "accuracy": 0.72}]
    csv = [",".join(row), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "scores.csv").write_text("\n".join(csv), encoding="utf-8")
    if root != ".":
        shutil.copy(clone.folder / "params.yaml", recorded)
    for model in ("cnn", "resnet50", "vgg16"):
        details = recorded / f"evaluation/study/{model}/details.json"
        details.parent.mkdir(parents=True, exist_ok=True)
        content = {"classes": classes, "bootstrap": {"unit": "lesion"}}
        content["has_lesion_ids"] = True
        details.write_text(json.dumps(content), encoding="utf-8")
    text = fill(path)
    cell = "0.500 (0.400–0.600)"
    assert f"| cnn | measured | 120 | {' | '.join([cell] * 4)} |\n" in text
    assert "| a | published | – | 0.72 | – | – | – |\n\nProfile demo, split by group." in text
    # 90 of 120 images are nv, two diagnoses have images.
    assert "Majority-class baseline (nv): accuracy 0.750, balanced accuracy 0.500." in text
    assert "random weights: resnet50, vgg16." in text or "random weights: vgg16, resnet50." in text
    assert check() is None


ESTIMATE = {"value": -0.1234, "low": -0.2, "high": 0.05}
MEASURED = {
    "randomization": {
        "n_layers": 4,
        "depths": [{"layers": 1, "correlation": ESTIMATE}, {"layers": 4, "correlation": ESTIMATE}],
        "gaussian": {"value": 0.5, "low": None, "high": None},
    },
    "shortcuts": None,
}


def test_a_table_of_explanations_is_quoted(clone, quote, fill):
    folder = clone.folder / "results/mine"
    folder.mkdir()
    (folder / "explanations.json").write_text(json.dumps(MEASURED), encoding="utf-8")
    lines = fill(quote("results/mine/explanations.json randomization")).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5
    assert table[2] == "| 1 | −0.123 (−0.200 to 0.050) |"
    assert table[3] == "| all | −0.123 (−0.200 to 0.050) |"
    assert table[4] == "| none; a Gaussian in the centre | 0.500 |"


@pytest.mark.parametrize(
    ("table", "message"), [("nosuch", "there is no table nosuch"), ("shortcuts", "not measured")]
)
def test_a_table_that_is_not_there_is_named(clone, quote, check, table, message):
    folder = clone.folder / "results/other"
    folder.mkdir(exist_ok=True)
    (folder / "explanations.json").write_text(json.dumps(MEASURED), encoding="utf-8")
    quote(f"results/other/explanations.json {table}")
    assert message in check()
