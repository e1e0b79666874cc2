"""What README, CONTRIBUTING and docs/ print: commands, settings, code, links, the reference."""

import copy
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import yaml
from cloned import ROOT

from lesions.config import parse_params
from lesions.config.types import Section
from lesions.datasets.synthetic.dataset import write_dataset

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

EXPERIMENT = "dvc exp run -S models.cnn.epochs=3"
EXP_SHOW = (
    "dvc exp show --only-changed --drop "
    "'Created|data|evaluation|models/|plots|predictions|.*:(f1|auc|ece)'"
)
PREDICT = (
    ".venv/bin/lesions predict data/sets/study/raw/HAM10000_images_part_1/DEMO_000001[0-2].jpg"
)
# Run in a clone after the pipeline, in this order.
RUN = (
    "dvc metrics show",
    "dvc plots show",
    EXPERIMENT,
    EXP_SHOW,
    "dvc params diff",
    "dvc metrics diff",
    "dvc plots diff",
    "dvc exp list",
    "git checkout evaluation metrics plots predictions MODEL_CARD.md "
    "&& dvc checkout --allow-missing",
    "git checkout . && git clean -fd evaluation metrics plots predictions && "
    "dvc checkout --allow-missing && dvc repro",
    "dvc exp run --temp --copy-paths data/mine",
    "dvc exp remove --all-commits",
    "dvc repro",
    "dvc repro --dry --allow-missing",
    "dvc repro --allow-missing",
    "python -m lesions.pipeline.locks",
    "dvc remote add --default team /a/shared/folder",
    "dvc push",
    "dvc pull",
    "dvc remote remove team",
    "dvc remote add --default team s3://bucket/study",
    "dvc remote modify team endpointurl https://s3.example.org",
    "dvc remote modify --local team access_key_id KEY",
    "dvc remote modify --local team secret_access_key SECRET",
    "cp params.yaml profiles/mine.yaml",
    "cp profiles/paper.yaml params.yaml",
    "dvc add data/mine",
    "git add data/mine.dvc",
    'git commit -am "Baseline on this machine"',
    "python -c 'import tensorflow; print(tensorflow.config.list_physical_devices(\"GPU\"))'",
)
NOT_PRINTED = ("dvc remote remove team",)  # between two ways that the page offers
# Only their help is read, with the reason; the flags must be there.
HELP = {
    "source .venv/bin/activate": "the tests run in this environment",
    "source .venv/bin/activate && pre-commit install": "would write into Git's hooks",
    ".venv/bin/pip install dvc-s3": "needs a network",
    ".venv/bin/pip install 'tensorflow[and-cuda]' --constraint constraints.txt": "the same",
    PREDICT: "a test of its own compares what it prints",
    "pip install .": "tests/test_release.py does so in a new environment",
    "pip install '.[train]'": "what `make setup` installs",
    "pip install '.[serve]'": "what `make demo` installs, see tests/test_demo.py",
    "lesions serve": "runs until it is stopped; tests/app/web/test_server.py starts it",
    "lesions predict photo.jpg": "tests/app/test_predict.py",
    "lesions explain photo.jpg --out pictures": "tests/app/test_explain.py",
    "lesions evaluate my_photographs --map naevus=nv --exclude scar": "tests/app/test_evaluate.py",
    "dvc artifacts get /path/to/lesions.git efficientnet-lite0": "tests/test_release.py",
    "dvc get /path/to/lesions.git src/lesions/released/efficientnet_lite0.onnx": "the same",
    "dask scheduler": "runs until it is stopped; tests/pipeline/test_parallel.py starts one",
    "dask worker tcp://host:8786 --nthreads 1": "needs a second machine",
}
REMOVAL = re.compile(r"rm (-r )?")  # of a model or a set, run where the names exist


def blocks(language):
    """Return the file and the text of every block in a language."""
    return [
        (page, textwrap.dedent(block["text"]))
        for page in PAGES
        for block in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if block["language"] == language
    ]


COMMANDS = list(dict.fromkeys(line for _, text in blocks("sh") for line in text.splitlines()))
YAML = [(page, text) for page, text in blocks("yaml") if page.name != "CONTRIBUTING.md"]


def merge(settings, changes):
    """Set the entries of a YAML block; a source, a split or classes replace what was there."""
    for key, value in changes.items():
        known = settings.get(key)
        whole = key in ("source", "split", "classes") or not isinstance(known, dict)
        settings[key] = value if whole else merge(known, value)
    return settings


def test_every_command_is_run_or_listed_with_a_reason():
    rest = [c for c in COMMANDS if not c.startswith("make ") and not REMOVAL.match(c)]
    assert sorted(rest) == sorted({*RUN, *HELP} - {*NOT_PRINTED})


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_every_make_command_has_a_verb_and_its_variables(command):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    _, *words = shlex.split(command)
    variables = [word.partition("=")[0] for word in words if "=" in word]
    assert all(re.search(rf"^{name} \?=", makefile, re.MULTILINE) for name in variables)
    subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)
    profile = next((word for word in words if word.startswith("PROFILE=")), "=demo").split("=")[1]
    assert profile == "demo" or (ROOT / f"profiles/{profile}.yaml").is_file()


@pytest.mark.parametrize("command", HELP)
def test_a_command_that_is_not_run_exists_with_its_flags(command):
    words = shlex.split(command.rpartition("&& ")[2])
    if words[0] == "source":
        assert "-m venv .venv" in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    program, *flags = (Path(words[0]).name, *[word for word in words if word.startswith("--")])
    shown = subprocess.run(
        [Path(sys.executable).parent / program, words[1], "--help"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert all(flag in shown.stdout for flag in flags)


@pytest.mark.parametrize(("page", "text"), YAML, ids=[page.name for page, _ in YAML])
def test_the_settings_that_a_page_prints_are_valid(page, text):
    merged = merge(copy.deepcopy(PARAMS), yaml.safe_load(text))
    parse_params(yaml.safe_dump(merged, sort_keys=False), source=page.name)


@pytest.fixture(scope="module")
def reproduced(clone):
    """A clone with the CNN alone, after `dvc repro`."""

    def only_cnn(params):
        params["models"] = {"cnn": params["models"]["cnn"]}
        params["backbones"] = {}

    clone.edit(only_cnn)
    clone.repro()
    clone.commit("reproduced")
    return clone


def run_in_bash(clone, command):
    return clone.run("bash", "-c", command)


@pytest.mark.slow
def test_a_program_predicts_with_a_model_as_the_page_says(reproduced):
    exported, trained = (
        reproduced.run(sys.executable, "-c", program)
        for page, program in blocks("python")
        if page.name == "use-a-model.md"
    )
    assert "['akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc'] [[" in exported
    assert re.search(r"p_akiec +p_bcc +p_bkl +p_df +p_mel +p_nv +p_vasc", trained)


def test_the_layers_of_nested_networks_are_reached_as_the_page_says(tmp_path, monkeypatch):
    """On the demonstration's two kinds of networks, with random weights."""
    from lesions.networks import applications, dense, efficientnet_lite
    from lesions.networks.backend import keras
    from lesions.networks.layers import join
    from lesions.networks.pretrained import fine_tune
    from lesions.networks.saving import save_network

    keras.backend.clear_session()  # else a layer's name has a number, as no stage gives it
    rng = np.random.default_rng(0)
    settings = {"weights": "random", "weights_sha256": None, "input_pixels": 32}
    settings["preprocessing"] = "imagenet"
    vgg16 = {"network": "VGG16", "pooling": "flatten"} | settings
    features, head = rng.random((20, 512)), {"dense_units": [8], "dropout": 0.1}
    made = dense.build(features, 7, standardize_features=False, **head)
    save_network(
        join(applications.build_backbone(64, **vgg16), made), tmp_path / "models/vgg16.keras"
    )
    lite = {"version": 0, "pooling": "average", "trainable": "all"} | settings
    images = rng.integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    given = (efficientnet_lite.build_backbone, images, 7)
    tuned = fine_tune(*given, dense_units=[], dropout=0.1, **lite)
    save_network(tuned, tmp_path / "models/efficientnet_lite0.keras")
    (tmp_path / "data/sets/study").mkdir(parents=True)
    np.save(tmp_path / "data/sets/study/images.npy", images)
    monkeypatch.chdir(tmp_path)
    (program,) = (text for page, text in blocks("python") if page.name == "explain.md")
    found = {}
    exec(program, found)
    with pytest.raises(ValueError, match="No such layer: block5_conv3"):
        found["model"].get_layer("block5_conv3")
    # The layer after block5_conv3 takes maxima of 2 × 2 positions, and is the last.
    pooled = keras.layers.MaxPooling2D()(found["block5"])
    np.testing.assert_allclose(pooled, found["feature_map"], rtol=1e-5)
    assert np.std(pooled) > 0
    # What the backbone's last layer reads, averaged, is what the output layer reads.
    mean = np.asarray(found["last_of_backbone"](found["pixels"])).mean(axis=(1, 2))
    kernel, bias = found["fine_tuned"].layers[-1].get_weights()
    logits = mean @ kernel + bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = found["fine_tuned"].predict_on_batch(found["pixels"])
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


@pytest.mark.slow
def test_lesions_predict_prints_what_the_readme_shows(tmp_path):
    """Probabilities within some hundredths: their last digits depend on the CPU."""
    source = PARAMS["sets"]["study"]["source"]
    raw = tmp_path / "data/sets/study/raw"
    write_dataset(raw, n_images=source["n_images"], seed=source["seed"])
    done = subprocess.run(
        ["bash", "-c", PREDICT.replace(".venv/bin/lesions", f"{sys.executable} -m lesions.app")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    shown = [
        text for page, text in blocks("console") if page.name == "README.md" and "set: " in text
    ]
    numbers = re.compile(r"\d\.\d\d")
    assert numbers.sub("#", done.stdout) == numbers.sub("#", shown[0])
    pairs = zip(numbers.findall(done.stdout), numbers.findall(shown[0]), strict=True)
    assert all(abs(float(printed) - float(expected)) < 0.03 for printed, expected in pairs)


@pytest.mark.slow
def test_the_commands_that_the_pages_print_work(reproduced, tmp_path):
    shutil.copytree(reproduced.folder / "data/source", reproduced.folder / "data/mine")
    printed = {}
    for command in RUN:
        here = command.replace("/a/shared/folder", str(tmp_path / "remote"))
        if "s3.example.org" in command or "pull" in command:
            assert "team" in run_in_bash(reproduced, "dvc remote list")
        printed[command] = run_in_bash(reproduced, here)
    assert "metrics/cnn.json" in printed["dvc metrics show"]
    assert max(map(len, printed["dvc metrics show"].splitlines())) <= 80
    for command in (EXP_SHOW, "dvc params diff"):
        assert "models.cnn.epochs" in printed[command]
        assert max(map(len, printed[command].splitlines())) <= 120
    assert "pushed" in printed["dvc push"]
    assert "up to date" in printed["dvc repro --dry --allow-missing"].splitlines()[-1]


@pytest.mark.slow
def test_the_readmes_tree_names_what_there_is(reproduced):
    tree = next(text for page, text in blocks("") if "├── params.yaml" in text)
    known = ("metrics", "models", "predictions", "evaluation", "plots")
    for line in tree.splitlines():
        below = "src/lesions/" if line.startswith("│") else ""
        names = re.match(r"[│ ├└─]*((?:[\w.]+(?:/\w+)*/? )+)", f"{line} ")[1].split()
        for name in names:
            path = reproduced.folder / below / name
            assert path.exists(), name
    assert all(f"{name}/" in tree for name in known)


def test_what_a_page_removes_of_a_set_is_all_that_git_has_of_it():
    """Of a model, tests/test_contributing.py shows it."""
    (command,) = [c for c in COMMANDS if REMOVAL.match(c) and "clinic" in c]
    removed = [Path(word) for word in command.split()[2:]]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    for stage in stages:
        if stage.get("foreach") == "${sets}" or "set" in stage.get("matrix", {}):
            body = stage.get("do", stage)
            for out in [*body.get("outs", []), *body.get("plots", [])]:
                name = out if isinstance(out, str) else next(iter(out))
                path = Path(re.sub(r"\$\{(key|item\.set)\}", "clinic", name))
                known = any(path.is_relative_to(other) for other in removed)
                assert known or path.parts[0] == "data", path


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation as `make docs` builds it; a link to no page or heading is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return folder


def all_sections(section=Section):
    for below in section.__subclasses__():
        yield below
        yield from all_sections(below)


def test_the_reference_has_every_key_of_the_schema(site):
    page = (site / "reference/settings.html").read_text(encoding="utf-8")
    keys = {key for section in all_sections() for key in section.model_fields}
    assert {key for key in keys if f"{key}</code>" not in page} == set()


def test_the_reference_has_every_stage_and_every_make_verb(site):
    stages = (site / "reference/stages.html").read_text(encoding="utf-8")
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        assert f'<h2 id="{stage}">' in stages
    verbs = (site / "reference/make.html").read_text(encoding="utf-8")
    for verb in re.findall(
        r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M
    ):
        assert f"<code>make {verb}</code>" in verbs


def test_the_pages_open_and_are_searched_without_a_network(site, browser):
    context = browser.new_context(offline=True)
    page, requests = context.new_page(), []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.click("input[name=query]")
    page.wait_for_selector(".md-search-result__meta:has-text('Type to start')", timeout=30_000)
    page.keyboard.type("mixing matrix")
    page.wait_for_selector(".md-search-result__link", timeout=30_000)
    assert [url for url in requests if url.startswith("http")] == []
    context.close()


def test_links_of_the_readme_and_contributing_lead_to_files():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)]+)\)", text):
            assert "://" in target or (ROOT / target.partition("#")[0]).exists(), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 220
