"""The model that comes with the package, how it gets there, and how others get it."""

import io
import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import yaml
from cloned import ROOT, Clone
from made_up_model import write_model
from photographs import draw_photograph
from PIL import Image

from lesions.app.models import RELEASED, find_model
from lesions.export.parity import MAX_LOSS
from lesions.inference.exported import BATCH_SIZE, ExportedModel

RELEASE = [sys.executable, str(ROOT / "tools/release.py")]
EXPORT = {"weights": "float16", "false_alarms": 0.02}
PARITY = {
    "partition": "val",
    "n_images": 100,
    "largest_difference": 0.001,
    "same_class": 1.0,
    "differences": {"balanced_accuracy": {"difference": 0.0, "low": 0.0, "high": 0.0}},
    "may_be_released": True,
}
SCORES = ("accuracy", "balanced_accuracy", "roc_auc_macro")


def painted(value, low, high):
    """Return what stage `explain` measured without and with the lesion."""
    before = {name: {"value": 0.9, "low": 0.8, "high": 1.0} for name in SCORES}
    after = {name: {"value": value, "low": low, "high": high} for name in SCORES}
    rows = {"as they are": before, "without the lesion, inpainted": after}
    shortcuts = [{"photographs": name} | scores for name, scores in rows.items()]
    return {"n_images": 100, "shortcuts": shortcuts}


@pytest.fixture(scope="module")
def released():
    return ExportedModel(find_model(None))


def test_one_model_comes_with_the_package_and_it_is_small():
    [file] = RELEASED.glob("*.onnx")
    assert file.stat().st_size <= 8_000_000
    assert find_model(None) == file == find_model(file.stem)


def test_its_card_has_the_header_of_a_model_hub(released):
    text = (RELEASED / "MODEL_CARD.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "cc-by-nc-4.0"
    assert header["datasets"] == ["ham10000"]
    [model] = header["model-index"]
    assert released.facts["name"] in model["name"]
    scores = {row["type"]: row["value"] for row in model["results"][0]["metrics"]}
    recorded = json.loads(
        (ROOT / "results/recommended/comparison/comparison.json").read_text(encoding="utf-8")
    )
    expected = recorded[released.facts["name"]]["isic2018"]
    assert scores["accuracy"] == expected["accuracy"]["value"]
    assert scores["roc_auc"] == expected["roc_auc_macro"]["value"]
    assert released.facts["model_sha256"] in text
    assert "not for commercial use" in text


def test_it_has_all_that_predicting_needs(released):
    facts = released.facts
    assert facts["profile"] == "recommended"
    assert released.codes == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert facts["calibration"]["temperature"] > 0
    assert facts["calibration"]["conformal"]["coverage"] == 0.9
    assert facts["distance"]["threshold"] > 0


def test_a_drawing_of_skin_is_like_its_training_photographs_and_noise_is_not(released):
    """Without real photographs: those that this pipeline draws of naevi, which look alike to it."""
    size = (released.pixels, released.pixels)
    drawn = [draw_photograph("nv", lesion_seed=seed, photo_seed=seed) for seed in range(BATCH_SIZE)]
    squares = [
        Image.fromarray(image[:, 75:525]).resize(size, Image.Resampling.BOX) for image in drawn
    ]
    found = released.predict(np.stack([np.asarray(image) for image in squares]))
    assert np.mean(found.distances < 1) >= 0.5
    assert np.mean(found.predicted == released.codes.index("nv")) >= 0.5
    noise = np.random.default_rng(0).integers(0, 256, (4, *size, 3))
    assert released.predict(noise).distances.min() > 2 * found.distances.max()


def test_the_originals_of_ham10000_are_named(released, shared):
    """It has been trained on most of them: this shows that reading is right, not how good it is."""
    folder = shared("ham10000_sample")
    metadata = (folder / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines()
    dx = {row.split(",")[1]: row.split(",")[2] for row in metadata[1:]}
    printed = subprocess.run(
        [sys.executable, "-m", "lesions.app", "predict", str(folder), "--json"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    found = [json.loads(line) for line in printed.stdout.splitlines()]
    right = sum(facts["predicted"] == dx[Path(facts["file"]).stem] for facts in found)
    assert len(found) == 70
    assert right >= 50
    assert sum(facts["out_of_distribution"] for facts in found) <= 7


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with an exported model; `dvc` there says that all is up to date, or not."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["exports"] = {"cnn": EXPORT}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "src/lesions/released").mkdir(parents=True)
    (tmp_path / "src/lesions/released/old.onnx").write_bytes(b"old")
    (tmp_path / "MODEL_CARD.md").write_text("# Card\n", encoding="utf-8")
    write_model(tmp_path / "exports/cnn.onnx", name="cnn")
    (tmp_path / "exports/cnn.json").write_text(json.dumps(PARITY), encoding="utf-8")
    (tmp_path / "explanations").mkdir()
    write_explanations(tmp_path, painted(0.72, 0.68, 0.76))
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    say(tmp_path, "Data and pipelines are up to date.")
    return tmp_path


def write_explanations(study, content):
    (study / "explanations/cnn.json").write_text(json.dumps(content), encoding="utf-8")


def say(study, text):
    program = study / "bin/dvc"
    program.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    program.chmod(0o755)


def release(study, name="cnn"):
    done = subprocess.run([*RELEASE, name], cwd=study, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


def test_a_release_replaces_the_model_and_writes_its_card(study):
    status, printed = release(study)
    assert status == 0, printed
    folder = study / "src/lesions/released"
    assert sorted(file.name for file in folder.iterdir()) == [
        "MODEL_CARD.md",
        "cnn.json",
        "cnn.onnx",
    ]
    assert json.loads((folder / "cnn.json").read_text(encoding="utf-8")) == PARITY
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# Card\n")
    assert "the same class for 100.0 %" in card


@pytest.mark.parametrize(
    ("explanations", "says"),
    [
        (
            painted(0.72, 0.68, 0.76),
            "- **Without the lesion it still recognises diagnoses**; its scores are not of the "
            "lesion alone. On 100 validation images with the lesion inpainted: ROC AUC 0.720 "
            "(0.680 to 0.760) and balanced accuracy 0.720 (0.680 to 0.760). By chance these are "
            "0.5 and 0.143; with the lesion 0.900 and 0.900.",
        ),
        (painted(0.72, None, None), "still recognises diagnoses**; its scores are not of the"),
        (painted(0.52, 0.46, 0.58), "- **Without the lesion it hardly recognises diagnoses**. On"),
        ({"shortcuts": None}, "**: not measured, since the study names no masks."),
    ],
)
def test_the_card_says_what_is_recognised_without_the_lesion(study, explanations, says):
    write_explanations(study, explanations)
    assert release(study)[0] == 0
    card = (study / "src/lesions/released/MODEL_CARD.md").read_text(encoding="utf-8")
    assert says in card


def test_the_card_of_the_package_says_it_as_well():
    sys.path.append(str(ROOT / "tools"))
    from release import describe_shortcuts

    file = ROOT / "results/recommended/explanations.json"
    measured = json.loads(file.read_text(encoding="utf-8"))
    text = (RELEASED / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert describe_shortcuts(measured, 7) in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda study: say(study, "Running stage"), "The study is not up to date"),
        (
            lambda study: (study / "exports/cnn.json").write_text(
                json.dumps(PARITY | {"may_be_released": False}), encoding="utf-8"
            ),
            f"may have a balanced accuracy that is {MAX_LOSS:g} lower",
        ),
        (
            lambda study: (study / "exports/cnn.json").write_text(
                json.dumps(PARITY | {"differences": {"balanced_accuracy": {"low": None}}}),
                encoding="utf-8",
            ),
            "on 100 validation images, too few for an interval",
        ),
        (
            lambda study: write_model(study / "exports/cnn.onnx", padding="x" * 8_000_000),
            "above the limit of 8,000,000",
        ),
        (lambda study: (study / "exports/cnn.onnx").unlink(), "exports/cnn.onnx"),
    ],
)
def test_a_model_that_may_not_be_released_is_refused(study, spoil, message):
    spoil(study)
    status, printed = release(study)
    assert status == 1
    assert message in printed
    assert "Traceback" not in printed
    assert (study / "src/lesions/released/old.onnx").exists()


def test_a_model_that_is_not_exported_is_refused(study):
    assert (
        "NAME=vgg16 is not in exports of params.yaml, which has cnn" in release(study, "vgg16")[1]
    )
    assert "Name a model" in release(study, "")[1]


def test_another_project_gets_the_model_from_a_bare_clone(tmp_path):
    clone = Clone(tmp_path / "clone")
    bare = tmp_path / "lesions.git"
    # DVC finds the version of an artifact by this annotated tag (github.com/iterative/gto).
    clone.run("git", "tag", "--annotate", "efficientnet-lite0@v0.2.0", "--message", "released")
    clone.run("git", "clone", "--quiet", "--bare", ".", str(bare))
    other = tmp_path / "other"
    other.mkdir()
    file = "src/lesions/released/efficientnet_lite0.onnx"
    for number, command in enumerate(
        (
            ["artifacts", "get", str(bare), "efficientnet-lite0"],
            ["get", str(bare), file],
        )
    ):
        out = other / f"{number}.onnx"
        clone.run("dvc", *command, "--out", str(out))
        assert out.read_bytes() == (ROOT / file).read_bytes()


@pytest.mark.slow
def test_predicting_works_with_what_pip_installs_without_an_extra(tmp_path):
    """A new environment that lacks TensorFlow, pandas and the like; needs the package index."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin/python"
    clone = Clone(tmp_path / "clone")
    constraints = str(ROOT / "constraints.txt")
    clone.run(str(python), "-m", "pip", "install", "--quiet", ".", "--constraint", constraints)
    photograph = io.BytesIO()
    Image.fromarray(draw_photograph("nv", lesion_seed=1, photo_seed=1)).save(photograph, "JPEG")
    (tmp_path / "photo.jpg").write_bytes(photograph.getvalue())

    def run(*arguments):
        return subprocess.run(
            [str(environment / "bin/lesions"), *arguments],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            encoding="utf-8",
        )

    done = run("predict", "photo.jpg")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("photo.jpg  nv ")
    installed = clone.run(str(python), "-m", "pip", "list", "--format=freeze")
    names = {line.partition("==")[0].lower() for line in installed.splitlines()}
    assert {"tensorflow", "pandas", "scikit-learn", "onnx", "dvc"}.isdisjoint(names)
    refused = run("evaluate", ".")
    assert refused.returncode == 1
    assert "pip install" in refused.stderr
    assert "[train]" in refused.stderr
