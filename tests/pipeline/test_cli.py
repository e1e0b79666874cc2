from lesions.pipeline.cli import read_params, read_paths

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cloned import ROOT

from lesions.config import ParamsError, read_text


@pytest.fixture
def flags(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `read_paths` sets another

    def set_flags(text):
        monkeypatch.setattr(sys, "argv", ["stage.py", *text.split()])

    return set_flags


# Paths


def test_every_flag_becomes_a_path_and_names_stay_text(flags):
    flags("--name vgg16 --set study --labels data/labels.csv --contact-sheet plots/sheet.png")
    paths = read_paths("Stage.", "name", "set", "labels", "contact_sheet")
    assert vars(paths) == {
        "name": "vgg16",
        "set": "study",
        "labels": Path("data/labels.csv"),
        "contact_sheet": Path("plots/sheet.png"),
    }


def test_parent_folders_are_created_and_nothing_else(flags, tmp_path):
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
        (None, r"^params\.yaml is missing; run from the repository's folder$"),
        ("seed: [1", r"^params\.yaml is not valid YAML: "),
        (
            "seed: -1",
            r"setting\(s\) in params\.yaml must be corrected:\n(?s:.*)  seed: .* found -1",
        ),
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
    flags = "--name study --labels l.csv --groups g.csv --partitions p.csv --counts c.csv"
    command = [sys.executable, ROOT / "stages/split.py", *flags.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "1 setting(s) in params.yaml must be corrected:\n"
        "  sede: unknown setting; check the spelling\n"
    )


# Errors


def raised(kind, function, *arguments, **settings):
    """Return what Python hands to `sys.excepthook`."""
    with pytest.raises(kind) as error:
        function(*arguments, **settings)
    return error.type, error.value, error.tb


def test_of_an_error_that_the_package_raises_only_the_message_is_printed(flags, capsys, tmp_path):
    flags("--labels labels.csv")
    read_paths("Stage.", "labels")
    missing = raised(ParamsError, read_text, tmp_path / "params.yaml")
    sys.excepthook(*missing)
    assert capsys.readouterr().err == f"\n{missing[1]}\n"


def test_any_other_error_keeps_its_traceback(flags, capsys, tmp_path):
    flags("--labels labels.csv")
    read_paths("Stage.", "labels")
    # Not messages of the package, but bugs in it or in its caller.
    for other in (
        raised(AttributeError, read_text, "not a Path"),
        raised(ValueError, int, "a ValueError of another package"),
    ):
        sys.excepthook(*other)
        assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_file_that_an_earlier_stage_should_have_written_is_named(flags, capsys, tmp_path):
    flags("--name cnn --labels labels.csv")
    read_paths("Stage.", "name", "labels")
    sys.excepthook(*raised(FileNotFoundError, Path("labels.csv").read_bytes))
    expected = "\nStage stage@cnn needs labels.csv, which is missing; run 'dvc repro'\n"
    assert capsys.readouterr().err == expected
