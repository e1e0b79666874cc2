"""The whole pipeline, run by DVC itself in one clone; the tests build on one another, in order."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import requests
import yaml

MODELS = ("cnn", "vgg16")
OF_A_MODEL = ("features", "train", "predict", "calibrate", "evaluate", "mistakes")
GATHER = ["compare", "report", "card"]


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone after its first `dvc repro`, committed, with the stages that ran."""
    ran = clone.repro()
    clone.commit("reproduced")
    return clone, ran


def test_one_command_runs_every_stage_once(reproduced):
    _, ran = reproduced
    once = ["ingest", "explore", "encode", "resize", "audit", "split", "balance", *GATHER]
    each = [f"{stage}@{model}" for stage in OF_A_MODEL for model in MODELS]
    assert sorted(ran) == sorted(once + each)


def test_then_nothing_is_left_to_do_nor_to_commit(reproduced):
    clone, _ = reproduced
    assert "up to date" in clone.run("dvc", "repro", "--dry", "--allow-missing").splitlines()[-1]
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_clone_without_any_data_counts_as_current(reproduced, tmp_path):
    clone, _ = reproduced
    clone.run("git", "clone", "--quiet", ".", str(tmp_path / "fresh"))
    dry = clone.run("dvc", "--cd", str(tmp_path / "fresh"), "repro", "--dry", "--allow-missing")
    assert "up to date" in dry.splitlines()[-1]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_colleague_pulls_and_sees_everything_without_a_stage_run(
    reproduced, tmp_path, request, kind
):
    clone, _ = reproduced
    theirs = str(tmp_path / "theirs")
    clone.run("git", "clone", "--quiet", ".", theirs)
    address, settings = (
        request.getfixturevalue("s3") if kind == "s3" else (str(tmp_path / "remote"), {})
    )
    for folder in (".", theirs):
        dvc = ("dvc", "--cd", folder)
        clone.run(*dvc, "remote", "add", "--local", "--force", "--default", "team", address)
        for name, value in settings.items():
            clone.run(*dvc, "remote", "modify", "--local", "team", name, value)
    assert "pushed" in clone.run("dvc", "push")
    assert "fetched" in clone.run("dvc", "--cd", theirs, "pull")

    for out in ("models/cnn.keras", "data/images.npy", "plots/report.html"):
        assert (tmp_path / "theirs" / out).read_bytes() == (clone.folder / out).read_bytes()
    # The photographs themselves are not pushed; all that is missing is said to be so.
    status = clone.run("dvc", "--cd", theirs, "status")
    assert set(re.findall(r"^\t\t(\w.*?):? +(\S+)$", status, re.MULTILINE)) <= {
        ("deleted", "data/raw")
    }
    dry = clone.run("dvc", "--cd", theirs, "repro", "--allow-missing")
    assert "Running stage" not in dry
    assert "up to date" in dry.splitlines()[-1]
    assert "cnn.json" in clone.run("dvc", "--cd", theirs, "metrics", "show")
    clone.run("dvc", "--cd", theirs, "plots", "show")
    assert "Learning curves, loss" in (tmp_path / "theirs/dvc_plots/index.html").read_text(
        encoding="utf-8"
    )
    assert clone.run("git", "-C", theirs, "status", "--porcelain") == ""


@pytest.fixture
def s3(tmp_path):
    """A server on this machine that speaks S3; give a bucket's address and what DVC must know."""
    for name in ("dvc_s3", "moto"):
        pytest.importorskip(name, reason=f"a remote on S3 needs {name}, which .ci/run installs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, key = f"http://127.0.0.1:{port}", {"access_key_id": "me", "secret_access_key": "mine"}
    with (tmp_path / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(200):
            with suppress(requests.ConnectionError):
                requests.put(f"{url}/team", timeout=10).raise_for_status()
                break
            time.sleep(0.1)
        yield "s3://team/study", {"endpointurl": url, **key}
    finally:
        server.kill()
        server.wait()


def test_a_temporary_experiment_runs_its_own_code_whatever_is_installed(reproduced):
    """`lesions` is installed from this checkout, and a temporary copy has another."""
    clone, _ = reproduced
    module = clone.folder / "src/lesions/evaluation.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("lesions, within each", "edited, within each"), encoding="utf-8")
    clone.run("dvc", "exp", "run", "--temp", "--name", "edited", installed=True)
    clone.run("git", "checkout", "--quiet", ".")
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    ref = next(ref for ref in refs if ref.endswith("/edited"))
    assert "edited, within each" in clone.run("git", "show", f"{ref}:metrics/details/cnn.json")
    assert "edited, within each" in clone.run("git", "show", f"{ref}:src/lesions/evaluation.py")
    clone.run("dvc", "exp", "remove", "edited")
    assert "up to date" in clone.run("dvc", "repro", "--dry", "--allow-missing").splitlines()[-1]


def test_every_model_says_something_of_every_image_that_it_was_not_trained_on(reproduced):
    clone, _ = reproduced
    partitions = pd.read_csv(clone.folder / "data/partitions.csv")
    held_out = partitions.query("partition != 'train'")["image_id"].tolist()
    for model in MODELS:
        predictions = pd.read_csv(clone.folder / f"predictions/{model}.csv")
        assert predictions["image_id"].tolist() == held_out
        assert predictions.filter(like="p_").sum(axis=1).between(0.99999, 1.00001).all()


def test_features_never_see_the_test_part(reproduced):
    clone, _ = reproduced
    sizes = json.loads((clone.folder / "metrics/split.json").read_text(encoding="utf-8"))
    resampled = json.loads((clone.folder / "metrics/balance.json").read_text(encoding="utf-8"))[
        "after"
    ]
    features = clone.folder / "data/features/vgg16"
    assert len(np.load(features / "train.npy")) == sum(resampled.values())
    assert len(np.load(features / "val.npy")) == sizes["n_val"]
    files = sorted(file.name for file in features.iterdir())
    assert files == ["frozen.keras", "train.npy", "val.npy"]


def test_dx_type_and_all_else_that_the_metadata_say_is_never_an_input_of_a_model(
    reproduced, tmp_path
):
    """Of labels.csv training and prediction need the column `label`, and only as the truth."""
    clone, _ = reproduced
    only_label = tmp_path / "labels.csv"
    pd.read_csv(clone.folder / "data/labels.csv")[["label"]].to_csv(only_label, index=False)
    stages = yaml.safe_load((clone.folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    commands = {stage: stages[stage]["do"]["cmd"].replace("${key}", "cnn") for stage in OF_A_MODEL}
    assert "labels" not in commands["features"]
    others = ("plots/curves/cnn.csv", ".resume/cnn", "predictions/cnn.json")
    for stage, made in (("train", "models/cnn.keras"), ("predict", "predictions/cnn.csv")):
        words = shlex.split(commands[stage])
        elsewhere = {"data/labels.csv": str(only_label)} | {
            path: str(tmp_path / path) for path in (made, *others)
        }
        clone.run("env", *(elsewhere.get(word, word) for word in words))
        assert (tmp_path / made).read_bytes() == (clone.folder / made).read_bytes()


def test_a_second_run_from_nothing_two_stages_at_once_gives_the_same_lock_byte_for_byte(reproduced):
    clone, ran = reproduced
    lock = (clone.folder / "dvc.lock").read_bytes()
    for made in ("dvc.lock", "data/raw", "data/features", "models", "metrics", "predictions"):
        path = clone.folder / made
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Forced: nothing comes from DVC's cache of runs.
    printed = clone.run(sys.executable, "tools/parallel.py", "2", "--force")
    assert sorted(re.findall("^Running stage '(.*)':$", printed, re.MULTILINE)) == sorted(ran)
    assert (clone.folder / "dvc.lock").read_bytes() == lock
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_record_keeps_settings_metrics_and_the_note_that_was_there(reproduced):
    clone, _ = reproduced
    record = (sys.executable, "tools/profiles.py", "record", "mine")
    clone.run(*record)
    note = clone.folder / "results/mine/README.md"
    note.write_text("On my machine.", encoding="utf-8")
    clone.run(*record)
    assert note.read_text(encoding="utf-8") == "On my machine."
    for name in ("params.yaml", "metrics/comparison.md"):
        assert (clone.folder / "results/mine" / name).read_text(encoding="utf-8") == (
            clone.folder / name
        ).read_text(encoding="utf-8")


def open_without_network(browser, page_file, scheme):
    """Open a page of DVC's plots; give how many charts it has and has drawn, and its errors."""
    context = browser.new_context(offline=True, color_scheme=scheme)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: errors.append(asked.url) if "http" in asked.url else None)
    page.goto(page_file.as_uri())
    charts = "main > div:not(:has(img))"
    page.wait_for_function(
        f"document.querySelectorAll('{charts}').length"
        " == document.querySelectorAll('[data-drawn]').length",
        timeout=60_000,
    )
    marks = "(box) => box.querySelectorAll('svg .role-mark :is(path, line, text)').length"
    drawn = page.eval_on_selector_all(charts, f"(boxes) => boxes.map({marks})")
    context.close()
    return drawn, errors


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dvcs_plots_are_drawn_without_a_network(reproduced, browser, scheme):
    clone, _ = reproduced
    clone.run(sys.executable, "tools/plots_page.py")
    for command, n_charts in (("show", 10 + 2 * 6), ("diff", 10 + 2 * 6)):
        clone.run("dvc", "plots", command)
        drawn, errors = open_without_network(browser, clone.folder / "dvc_plots/index.html", scheme)
        assert errors == []
        assert len(drawn) == n_charts
        assert min(drawn) > 0
    assert clone.run("git", "status", "--porcelain", ".dvc", "dvc_plots") == ""


def test_the_commands_that_the_readme_prints_work(reproduced):
    clone, _ = reproduced
    readme = (clone.folder / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (dvc .*)$", readme, re.MULTILINE)
    printed = {
        command: clone.run(*command.split())
        for command in commands
        if "my_photographs" not in command
    }
    assert len(printed) == 6
    assert "models.cnn.epochs" in printed["dvc exp show --only-changed"]
    assert "models.cnn.epochs" in printed["dvc params diff"]
    page = (clone.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    for title in ("Images by diagnosis", "Learning curves, loss", "cnn, images"):
        assert title in page
