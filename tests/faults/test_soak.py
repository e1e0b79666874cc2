"""A row of runs with settings drawn from the schema: each ends well or says why not.

LESIONS_SOAK_RUNS says how many, LESIONS_SOAK_SEED which; seed 8 has the runs of seed 7 but for the
first, so the seed that a message gives and one run show that case alone.
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
from faults_study import ROOT, STAGES, command_of, tiny
from test_hostile_params import GOOD, SCHEMA, options, walk

from lesions.params import ParamsError, parse_params

pytestmark = pytest.mark.slow
RUNS = int(os.environ.get("LESIONS_SOAK_RUNS", "30"))
SEED = int(os.environ.get("LESIONS_SOAK_SEED", "1"))
# What one run may cost; the schema allows more, and a large machine has it.
MOST = {
    "n_images": 150,
    "epochs": 3,
    "filters": 16,
    "dense_units": 64,
    "pixels": 300,
    "input_size": 64,
    "n_resamples": 500,
}
STEP = {"integer": 1, "number": 1e-6}  # to the side of an end that is not allowed itself
# The schema takes any word here; the other words stay as they are.
WORDS = {
    "architecture": ["cnn", "vgg16", "resnet50"],
    "column": ["partition", "sex"],
    "profile": ["demo", "paper", "dermamnist"],
    "weights": ["random", "absent.h5"],
}
ELSEWHERE = ("data.source", "data.files")  # photographs that are not the demo's
# The last line says what is wrong, then what was found or what to do.
CLEAR = re.compile(r"\w.*; \w.*\Z")
RUN = [stage for stage in STAGES if not stage.endswith("external")]
# Imports take longer than the stages of a tiny study, so one program has them done and forks for
# each stage. A stage that hangs is ended by the alarm.
FORKS = """
import ast, gc, importlib, json, os, runpy, signal, sys
from pathlib import Path
for script in Path(sys.argv[1]).glob("*.py"):
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            importlib.import_module(node.module)
gc.freeze()  # else each fork would spend a second on freeing what is not its own
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
with open("../said", "wb") as said:
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path):
    """The study's folder, with what Git has of it and the stages need."""
    (tmp_path / "study/data/source").mkdir(parents=True)
    shutil.copytree(ROOT / "templates", tmp_path / "study/templates")
    return tmp_path / "study"


@pytest.fixture
def run_stage(folder):
    """Give a function that runs a stage; it gives exit code, what was said, peak memory in KiB."""
    program = subprocess.Popen(
        [sys.executable, "-c", FORKS, ROOT / "stages"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )

    def run(stage, model):
        print(json.dumps(command_of(stage, model)), file=program.stdin, flush=True)
        code, peak = json.loads(program.stdout.readline())
        return code, (folder.parent / "said").read_text(encoding="utf-8").strip(), peak

    with program:
        yield run


def draw(rng, key, option, now):
    """Draw a value of those that the schema allows, its ends more often than others."""
    kind = option.get("type")
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
        high = min(high, MOST.get(key, high))
        if kind == "number":
            return rng.choice([low, high, rng.uniform(low, high)])
        return rng.choice([low, high, rng.randint(low, high), rng.randint(low, min(high, low + 9))])
    if now is None and "properties" in option:
        return {
            name: draw(rng, name, rng.choice(options(part)), None)
            for name, part in option["properties"].items()
        }
    return rng.choice(WORDS.get(key, [now]))


def plain():
    """Give the settings of the tiny study, of which some are drawn anew."""
    params = copy.deepcopy(GOOD)
    tiny(params)
    return params


def draw_params(rng):
    """Give settings that the schema accepts, and how many it refused before."""
    refused = 0
    while True:
        params = plain()
        del params["models"][rng.choice(["cnn", "vgg16"])]
        every = [(keys, part) for keys, part, _ in walk(SCHEMA, params)]
        every = [(keys, part) for keys, part in every if ".".join(keys) not in ELSEWHERE]
        for keys, part in rng.sample(every, rng.randint(1, 12)):
            place = params
            for key in keys[:-1]:
                place = place[key] or {}  # a backbone that was just drawn as null has no keys
            now = place.get(keys[-1])
            place[keys[-1]] = draw(rng, keys[-1], rng.choice(options(part)), now)
        try:
            parse_params(yaml.safe_dump(params), place="params.yaml")
        except ParamsError:
            refused += 1
        else:
            return params, refused


def declared(stage, model):
    """Give the outputs of a stage as dvc.yaml has them."""
    body = STAGES[stage].get("do", STAGES[stage])
    entries = [entry for name in ("outs", "metrics", "plots") for entry in body.get(name, [])]
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    return [name.replace("${key}", model) for name in names]


def run_study(folder, run_stage, params):
    """Run the stages as DVC does, until one fails; give its name, code, words, and all peaks."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (model,) = params["models"]
    peaks = {}
    for stage in RUN:
        for out in declared(stage, model):
            path = folder / out
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        code, said, peaks[stage] = run_stage(stage, model)
        if code:
            break
        if stage == "train":
            assert not (folder / ".resume" / model).exists()
    return stage, code, said, peaks


def find_left(folder):
    """Give the files that no stage declares; a training that stopped may keep its state."""
    outs = [out for stage in RUN for model in ("cnn", "vgg16") for out in declared(stage, model)]
    known = [folder / name for name in ("params.yaml", "templates", ".resume", *outs)]
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if not any(file.is_relative_to(path) for path in known)]


def outputs(folder):
    """Give the bytes of every file that a run of cnn makes."""
    paths = [folder / out for stage in RUN for out in declared(stage, "cnn")]
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return {file: file.read_bytes() for file in files}


def test_whatever_the_settings_a_run_ends_well_or_says_why_not(folder, run_stage, capsys):
    first = plain()
    del first["models"]["vgg16"]
    *_, code, said, peaks = run_study(folder, run_stage, first)
    assert code == 0, said
    expected, refused, stopped = outputs(folder), 0, Counter()
    for seed in range(SEED, SEED + RUNS):
        params, more = draw_params(random.Random(seed))
        refused += more
        stage, code, said, _ = run_study(folder, run_stage, params)
        case = f"LESIONS_SOAK_SEED={seed}: {stage} ended with {code}\n{said}"
        assert find_left(folder) == [], case
        assert code in (0, 1), case
        assert "Traceback" not in said, case
        if code:
            assert CLEAR.search(said), case
            stopped[stage] += 1
    *_, code, said, peaks_after = run_study(folder, run_stage, first)
    assert code == 0, said
    assert outputs(folder) == expected
    # KiB. Flat: whatever came between, no stage of the first run takes more when that is repeated.
    growth = max(peaks_after[stage] - peaks[stage] for stage in RUN)
    assert growth < 32 * 1024
    with capsys.disabled():
        print(
            f"\n{RUNS} runs, {RUNS - stopped.total()} of them to their end; stopped with a message "
            f"{dict(stopped)}; the schema refused {refused} draws; memory grew by {growth} KiB"
        )
