"""Stage `train` while somebody edits params.yaml."""

import os
import shlex
import subprocess
import sys

import pytest
import yaml
from cloned import ROOT
from stage_commands import command, run, write_training_inputs

TRAIN = command("train", key="cnn", item_inputs="images.npy")


@pytest.fixture
def folder(tmp_path):
    write_training_inputs(tmp_path, epochs=30)
    return tmp_path


def edit(folder, model, **changes):
    """Change settings of a model; return the file's former text."""
    file = folder / "params.yaml"
    text = file.read_text(encoding="utf-8")
    params = yaml.safe_load(text)
    params["models"][model] |= changes
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    return text


def train_and_edit(folder, model):
    """Edit settings after the first epoch; return exit code, output, and the file's former text."""
    with subprocess.Popen(
        [sys.executable, *shlex.split(TRAIN)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        next(line for line in process.stdout if line.startswith("epoch 1/30"))
        former = edit(folder, model, learning_rate=0.5)
        printed = process.stdout.read()
    return process.returncode, printed, former


def test_a_model_whose_settings_were_edited_meanwhile_is_not_saved_and_not_lost(folder):
    code, printed, former = train_and_edit(folder, "cnn")
    assert code == 1
    assert "Settings, inputs or code of cnn were changed while it was trained" in printed
    assert "Traceback" not in printed
    assert not (folder / "models/cnn.keras").exists()
    (folder / "params.yaml").write_text(former, encoding="utf-8")
    assert run(folder, TRAIN).splitlines() == ["resuming after epoch 30 of 30"]
    assert (folder / "models/cnn.keras").exists()


def test_an_edit_of_another_model_is_no_reason_to_refuse(folder):
    code, printed, _ = train_and_edit(folder, "vgg16")
    assert code == 0, printed
    assert (folder / "models/cnn.keras").exists()
