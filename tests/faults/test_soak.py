"""Many runs with settings drawn from the schema: each one succeeds or explains why not.

LESIONS_SOAK_RUNS is the number of runs, LESIONS_SOAK_SEED the seed of the first; run n has the seed
of the first + n. So the seed in a failure's message and LESIONS_SOAK_RUNS=1 repeat that run alone.
"""

import copy
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from cloned import ROOT
from faults_study import STAGES, command_of, make_tiny, outputs_of
from test_hostile_params import GOOD, SCHEMA, options, tag_of, walk

from lesions.config import ParamsError, parse_params

pytestmark = pytest.mark.slow
RUNS = int(os.environ.get("LESIONS_SOAK_RUNS", "30"))
SEED = int(os.environ.get("LESIONS_SOAK_SEED", "1"))
# Limits of what one run costs; the schema allows more, for larger machines.
LIMITS = {
    "n_images": 80,
    "n_neighbors": 20,
    "epochs": 3,
    "filters": 16,
    "dense_units": 64,
    "pixels": 300,
    "input_pixels": 64,
    "n_resamples": 500,
    "threads": 16,
}
WITH_TENSORFLOW = {"features", "train", "predict"}
STEP = {"integer": 1, "number": 1e-6}  # from a bound that is itself not allowed
# The schema allows any text here; other text stays as it is.
TEXTS = {
    "column": ["partition", "sex"],
    "exclude": ["vasc", "unknown"],
    "profile": ["demo", "paper", "dermamnist"],
    "weights": ["random", "absent.h5"],
    "weights_sha256": ["0" * 64],
}
FIXED = ("sets.study.source", "sets.study.source.path")  # synthetic photographs
# The last line says what is wrong, then what was found or what to do.
CLEAR = re.compile(r"\w.*; \w.*\Z")
# Imports take longer than the stages of a tiny study, so a process imports what its stages need and
# forks for each run of one. An alarm ends a stage that hangs.
FORKS = """
import ast, gc, importlib, json, os, runpy, signal, sys
from pathlib import Path
for script in sys.argv[1:]:
    for node in ast.parse(Path(script).read_text()).body:
        if isinstance(node, ast.ImportFrom):
            importlib.import_module(node.module)
gc.freeze()  # else each fork would spend a second on freeing memory that it shares
for line in sys.stdin:
    sys.argv = json.loads(line)
    pid = os.fork()
    if pid == 0:
        break
    _, status, used = os.wait4(pid, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss]), flush=True)
else:
    sys.exit()
signal.alarm(300)
with open("../printed", "wb") as printed:
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path):
    """The folder of a study, with the files of the repository that its stages read."""
    (tmp_path / "study/data/source").mkdir(parents=True)
    shutil.copytree(ROOT / "templates", tmp_path / "study/templates")
    return tmp_path / "study"


@pytest.fixture
def run_stage(folder):
    """Return a function that runs a stage; it returns exit code, output and peak memory in KiB."""

    def start(stages):
        return subprocess.Popen(
            [sys.executable, "-c", FORKS, *(ROOT / f"stages/{stage}.py" for stage in stages)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )

    def run(stage, model):
        program = with_tensorflow if stage in WITH_TENSORFLOW else others
        print(json.dumps(command_of(stage, model)), file=program.stdin, flush=True)
        code, peak = json.loads(program.stdout.readline())
        return code, (folder.parent / "printed").read_text(encoding="utf-8").strip(), peak

    # A fork of a process with TensorFlow takes longer.
    with (
        start(WITH_TENSORFLOW) as with_tensorflow,
        start(STAGES.keys() - WITH_TENSORFLOW) as others,
    ):
        yield run


def draw(rng, key, option, present):
    """Draw a value that the schema allows, its bounds more often than others."""
    kind = option.get("type")
    if "const" in option:
        return option["const"]
    if "enum" in option:
        return rng.choice(option["enum"])
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        return [draw(rng, key, options(option["items"])[0], None) for _ in range(rng.randint(0, 3))]
    if kind in STEP:
        low = option.get("minimum", option.get("exclusiveMinimum", 0) + STEP[kind])
        high = option.get("maximum", option.get("exclusiveMaximum", 0) - STEP[kind])
        high = min(high, LIMITS.get(key, high))
        if kind == "number":
            return rng.choice([low, high, rng.uniform(low, high)])
        return rng.choice([low, high, rng.randint(low, high), rng.randint(low, min(high, low + 9))])
    if present is None and kind == "object":
        return {
            name: draw(rng, name, rng.choice(options(entry)), None)
            for name, entry in option.get("properties", {}).items()
        }
    return rng.choice(TEXTS.get(key, [present]))


def tiny(model):
    """Return the settings of the tiny study with one of its models."""
    params = copy.deepcopy(GOOD)
    make_tiny(params)
    params["models"] = {model: params["models"][model]}
    if model == "cnn":
        params["backbones"] = {}
    return params


def draw_params(rng):
    """Return settings that the schema accepts, and how many it refused before."""
    refused = 0
    while True:
        params = tiny(rng.choice(["cnn", "vgg16"]))
        settings = [(keys, entry) for keys, entry, *_ in walk(SCHEMA, params)]
        settings = [(keys, entry) for keys, entry in settings if ".".join(keys) not in FIXED]
        for keys, entry in rng.sample(settings, rng.randint(1, 12)):
            mapping = params
            for key in keys[:-1]:
                mapping = mapping[key]
            # A section of another class is drawn completely.
            present = None if tag_of(entry) else mapping.get(keys[-1])
            mapping[keys[-1]] = draw(rng, keys[-1], rng.choice(options(entry)), present)
        try:
            parse_params(yaml.safe_dump(params), source="params.yaml")
        except ParamsError:
            refused += 1
        else:
            return params, refused


def run_study(folder, run_stage, params):
    """Run the stages as DVC does, until one fails; return its name, code, output, and all peaks."""
    file = folder / "params.yaml"
    skipped = set() if params["backbones"] else {"features"}
    if file.exists():
        earlier = yaml.safe_load(file.read_text(encoding="utf-8"))
        if earlier["sets"]["study"]["source"] == params["sets"]["study"]["source"]:
            skipped.add("ingest")  # these photographs have been drawn
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (model,) = params["models"]
    peaks = {}
    for stage in STAGES:
        if stage in skipped:
            continue
        for output in outputs_of(stage, model):
            path = folder / output
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        code, printed, peaks[stage] = run_stage(stage, model)
        if code:
            break
        if stage == "train":
            assert not (folder / ".checkpoints" / model).exists()
    return stage, code, printed, peaks


def find_undeclared(folder):
    """Return the files that no stage declares; a training that failed may keep its checkpoint."""
    outputs = [name for stage in STAGES for m in ("cnn", "vgg16") for name in outputs_of(stage, m)]
    known = [folder / name for name in ("params.yaml", "templates", ".checkpoints", *outputs)]
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if not any(file.is_relative_to(path) for path in known)]


def read_outputs(folder):
    """Return the bytes of every file that a run of cnn writes."""
    paths = [folder / output for stage in STAGES for output in outputs_of(stage, "cnn")]
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return {file: file.read_bytes() for file in files}


def test_a_run_with_any_valid_settings_succeeds_or_explains_why_not(folder, run_stage, capsys):
    first = tiny("cnn")
    *_, code, printed, peaks = run_study(folder, run_stage, first)
    assert code == 0, printed
    expected, refused, stopped = read_outputs(folder), 0, Counter()
    for seed in range(SEED, SEED + RUNS):
        params, n_refused = draw_params(random.Random(seed))
        refused += n_refused
        stage, code, printed, _ = run_study(folder, run_stage, params)
        case = f"LESIONS_SOAK_SEED={seed}: {stage} ended with {code}\n{printed}"
        assert find_undeclared(folder) == [], case
        assert code in (0, 1), case
        assert "Traceback" not in printed, case
        if code:
            assert CLEAR.search(printed), case
            stopped[stage] += 1
    *_, code, printed, peaks_after = run_study(folder, run_stage, first)
    assert code == 0, printed
    assert read_outputs(folder) == expected
    # KiB. Whatever ran in between, no stage of the first run takes more memory when repeated.
    growth = max(peaks_after[stage] - peaks[stage] for stage in peaks_after)
    assert growth < 32 * 1024
    with capsys.disabled():
        print(
            f"\n{RUNS} runs, {RUNS - stopped.total()} of them complete; stopped with a message "
            f"{dict(stopped)}; the schema refused {refused} draws; memory grew by {growth} KiB"
        )
