"""The whole pipeline, run by DVC itself in one clone; the tests build on one another, in order."""

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
SET_STAGES = ("ingest", "encode", "resize", "embed", "audit", "split")
MODEL_STAGES = ("train", "calibrate", "mistakes")
MATRIX_STAGES = ("predict", "evaluate")


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone after its first `dvc repro`, committed, with the stages that ran."""
    clone.edit(lambda params: params["audit"].update(method="both"))
    ran = clone.repro()
    clone.commit("reproduced")
    return clone, ran


def test_one_command_runs_every_stage_once(reproduced):
    _, ran = reproduced
    expected = ["explore", "balance", "augment", "features@vgg16", "compare", "report", "card"]
    expected += [f"{stage}@study" for stage in SET_STAGES]
    expected += [f"{stage}@{model}" for stage in MODEL_STAGES for model in MODELS]
    expected += [f"{stage}@{model}-study" for stage in MATRIX_STAGES for model in MODELS]
    assert sorted(ran) == sorted(expected)


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

    for out in ("models/cnn.keras", "data/sets/study/images.npy", "plots/report.html"):
        assert (tmp_path / "theirs" / out).read_bytes() == (clone.folder / out).read_bytes()
    # The photographs themselves are not pushed; DVC reports all that is missing.
    status = clone.run("dvc", "--cd", theirs, "status")
    assert set(re.findall(r"^\t\t(\w.*?):? +(\S+)$", status, re.MULTILINE)) <= {
        ("deleted", "data/sets/study/raw")
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
    """Start an S3 server on this machine; return a bucket's address and DVC's settings for it."""
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


@pytest.mark.slow
def test_a_temporary_experiment_runs_its_own_code_whatever_is_installed(reproduced):
    """`lesions` is installed from this checkout, and a temporary copy has another."""
    clone, _ = reproduced
    module = "src/lesions/evaluation/images/metadata.py"
    clone.replace(module, "lesions, within each", "edited, within each")
    clone.run("dvc", "exp", "run", "--temp", "--name", "edited", installed=True)
    clone.run("git", "checkout", "--quiet", ".")
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    ref = next(ref for ref in refs if ref.endswith("/edited"))
    assert "edited, within each" in clone.run(
        "git", "show", f"{ref}:evaluation/study/cnn/details.json"
    )
    assert "edited, within each" in clone.run("git", "show", f"{ref}:{module}")
    clone.run("dvc", "exp", "remove", "edited")
    assert "up to date" in clone.run("dvc", "repro", "--dry", "--allow-missing").splitlines()[-1]


def test_every_model_predicts_every_image_that_it_was_not_trained_on(reproduced):
    clone, _ = reproduced
    partitions = pd.read_csv(clone.folder / "data/sets/study/partitions.csv")
    held_out = partitions.query("partition != 'train'")["image_id"].tolist()
    for model in MODELS:
        predictions = pd.read_csv(clone.folder / f"predictions/study/{model}.csv")
        assert predictions["image_id"].tolist() == held_out
        assert predictions.filter(like="p_").sum(axis=1).between(0.99999, 1.00001).all()


def test_features_never_contain_test_images(reproduced):
    clone, _ = reproduced
    sizes = pd.read_csv(clone.folder / "plots/partitions/study.csv").groupby("partition").sum()
    balance = pd.read_csv(clone.folder / "plots/balance.csv").query("rows == 'resampled'")
    features = clone.folder / "data/sets/study/features/vgg16"
    assert len(np.load(features / "train.npy")) == balance["n_images"].sum()
    assert len(np.load(features / "val.npy")) == sizes.loc["val", "n_images"]
    files = sorted(file.name for file in features.iterdir())
    assert files == ["backbone.keras", "train.npy", "val.npy"]


def test_training_and_prediction_read_no_metadata_but_the_label(reproduced, tmp_path):
    """With a `labels.csv` that holds `label` and `image_path` alone, their outputs are the same."""
    clone, _ = reproduced
    labels = "data/sets/study/labels.csv"
    only_label = tmp_path / "labels.csv"
    pd.read_csv(clone.folder / labels)[["label", "image_path"]].to_csv(only_label, index=False)
    stages = yaml.safe_load((clone.folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert "labels" not in stages["features"]["do"]["cmd"]
    words = {"${key}": "cnn", "${item.model}": "cnn", "${item.set}": "study"}
    words |= {"${item.inputs}": "images.npy"}
    outputs = {"train": "models/cnn.keras", "predict": "predictions/study/cnn.csv"}
    others = ("plots/curves/cnn.csv", "plots/monitored/cnn.csv", ".checkpoints/cnn")
    others += ("predictions/study/cnn.json",)
    for stage, output in outputs.items():
        command = stages[stage].get("do", stages[stage])["cmd"]
        for variable, value in words.items():
            command = command.replace(variable, value)
        elsewhere = {labels: str(only_label)}
        elsewhere |= {path: str(tmp_path / path) for path in (output, *others)}
        clone.run("env", *(elsewhere.get(word, word) for word in shlex.split(command)))
        assert (tmp_path / output).read_bytes() == (clone.folder / output).read_bytes()


def test_a_deleted_output_is_restored_from_dvcs_run_cache(reproduced):
    """DVC says of such a stage that it is cached, and runs no command."""
    clone, _ = reproduced
    outputs = ("models/cnn.keras", "data/sets/study/features/vgg16", "data/sets/study/audit")
    for output in (clone.folder / output for output in outputs):
        shutil.rmtree(output) if output.is_dir() else output.unlink()
    assert clone.repro() == []
    assert all((clone.folder / output).exists() for output in outputs)
    assert clone.run("git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_an_earlier_setting_restores_its_model_from_dvcs_run_cache(reproduced):
    clone, _ = reproduced
    model = (clone.folder / "models/cnn.keras").read_bytes()
    clone.edit(lambda params: params["models"]["cnn"].update(epochs=1))
    assert "train@cnn" in clone.repro()
    assert (clone.folder / "models/cnn.keras").read_bytes() != model
    clone.edit(lambda params: params["models"]["cnn"].update(epochs=2))
    assert "train@cnn" not in clone.repro()
    assert (clone.folder / "models/cnn.keras").read_bytes() == model
    assert clone.run("git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_second_run_from_nothing_two_stages_at_once_gives_the_same_lock_byte_for_byte(reproduced):
    clone, ran = reproduced
    lock = (clone.folder / "dvc.lock").read_bytes()
    outputs = ("dvc.lock", "data/sets", "models", "metrics", "predictions", "evaluation")
    for output in (*outputs, ".dvc/cache/runs"):
        path = clone.folder / output
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    printed = clone.run(sys.executable, "-m", "lesions.pipeline.parallel", "2")
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
    for name, source in {"params.yaml": "params.yaml", "comparison": "plots/comparison"}.items():
        command = ("diff", "-r", source, f"results/mine/{name}")
        assert clone.run(*command) == ""


def open_without_network(browser, page_file, scheme):
    """Open a page of DVC's plots; return the number of marks in each chart, and all errors."""
    context = browser.new_context(offline=True, color_scheme=scheme)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    page.on(
        "request", lambda request: errors.append(request.url) if "http" in request.url else None
    )
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
    # Cohort, partitions, balance; the loss of each model; eight charts that compare the models.
    n_charts = 3 + len(MODELS) + 8
    for command in ("show", "diff"):
        clone.run("dvc", "plots", command)
        drawn, errors = open_without_network(browser, clone.folder / "dvc_plots/index.html", scheme)
        assert errors == []
        assert len(drawn) == n_charts
        assert min(drawn) > 0
    assert clone.run("git", "status", "--porcelain", ".dvc", "dvc_plots") == ""
