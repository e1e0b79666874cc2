from lesions.stage import model_files, read_params, read_paths

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def flags(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `read_paths` sets another

    def set_flags(text):
        monkeypatch.setattr(sys, "argv", ["stage.py", *text.split()])

    return set_flags


# Paths


def test_every_flag_becomes_a_path_and_name_stays_text(flags):
    flags("--name vgg16 --labels data/labels.csv --contact-sheet plots/sheet.png")
    paths = read_paths("Stage.", "name", "labels", "contact_sheet")
    assert vars(paths) == {
        "name": "vgg16",
        "labels": Path("data/labels.csv"),
        "contact_sheet": Path("plots/sheet.png"),
    }


def test_the_folders_that_paths_lie_in_are_made_and_nothing_else(flags, tmp_path):
    flags("--name a/b --labels data/deep/labels.csv")
    read_paths("Stage.", "name", "labels")
    made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert made == ["data", "data/deep"]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("--labels a", "arguments are required: --raw"),
        ("--labels a --raw b --seed 1", "unrecognized arguments: --seed 1"),
        ("--lab a --raw b", "required: --labels"),
        ("--labels a --raw", "--raw: expected one argument"),
    ],
)
def test_flags_must_be_those_of_the_stage_in_full(flags, capsys, given, fault):
    flags(given)
    with pytest.raises(SystemExit) as stop:
        read_paths("Stage `x`: what it does.", "labels", "raw")
    assert stop.value.code == 2
    assert fault in capsys.readouterr().err


def test_help_says_what_the_stage_does(flags, capsys):
    flags("--help")
    with pytest.raises(SystemExit) as stop:
        read_paths("Stage `x`: what it does.\n\nMore.", "labels")
    assert stop.value.code == 0
    help_text = capsys.readouterr().out
    assert "Stage `x`: what it does." in help_text
    assert "More" not in help_text


# Settings


def test_settings_are_read_from_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(
        text.replace("profile: demo ", "profile: mine "), encoding="utf-8"
    )
    assert read_params().profile == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^params\.yaml must exist; run from the repository's folder$"),
        ("seed: [1", r"^params\.yaml must be YAML; "),
        ("seed: -1", r"setting\(s\) in params\.yaml must change:\n(?s:.*)  seed: .* found -1"),
    ],
)
def test_bad_settings_stop_the_stage_with_a_message(monkeypatch, tmp_path, content, message):
    monkeypatch.chdir(tmp_path)
    if content:
        Path("params.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        read_params()


def test_a_stage_prints_that_message_and_no_traceback(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with (tmp_path / "params.yaml").open("a", encoding="utf-8") as stream:
        stream.write("sede: 1\n")
    command = [sys.executable, ROOT / "stages" / "split.py"]
    command += [
        "--labels",
        "labels.csv",
        "--groups",
        "g.csv",
        "--partitions",
        "p.csv",
        "--counts",
        "c.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "1 setting(s) in params.yaml must change:\n"
        "  sede: no such setting; look for a misspelt name\n"
    )


# Errors


def raised(kind, function, *arguments, **settings):
    """Give what an exception hook is handed."""
    with pytest.raises(kind) as error:
        function(*arguments, **settings)
    return error.type, error.value, error.tb


def test_an_error_that_the_package_raises_is_told_by_its_message_alone(flags, capsys, tmp_path):
    flags("--labels labels.csv")
    read_paths("Stage.", "labels")
    missing = raised(FileNotFoundError, model_files, tmp_path, ["cnn"], ".json")
    sys.excepthook(*missing)
    assert capsys.readouterr().err == f"\n{missing[1]}\n"


def test_any_other_error_keeps_its_traceback(flags, capsys, tmp_path):
    flags("--labels labels.csv")
    read_paths("Stage.", "labels")
    # Not what the package says, but a fault of it or of its caller.
    for other in (
        raised(TypeError, model_files, "no path", ["cnn"], ".json"),
        raised(ValueError, int, "a ValueError of another package"),
    ):
        sys.excepthook(*other)
        assert "Traceback (most recent call last)" in capsys.readouterr().err


# Files by model


def test_files_of_models_are_given_in_the_models_order(tmp_path):
    for name in ("cnn.json", "vgg16.json", "cnn.csv"):
        (tmp_path / name).touch()
    files = model_files(tmp_path, ["vgg16", "cnn"], ".json")
    assert list(files.items()) == [
        ("vgg16", tmp_path / "vgg16.json"),
        ("cnn", tmp_path / "cnn.json"),
    ]


def test_a_model_without_its_file_is_named_and_foreign_files_are_not_read(tmp_path):
    (tmp_path / "cnn.json").touch()
    (tmp_path / "dropped.json").touch()
    assert list(model_files(tmp_path, ["cnn"], ".json")) == ["cnn"]
    with pytest.raises(FileNotFoundError, match=r"its \.json file in .*; vgg16 has none; run 'dvc"):
        model_files(tmp_path, ["cnn", "vgg16"], ".json")
