"""Whole studies in a row, with settings drawn from the schema: each ends well or says why not.

LESIONS_SOAK_RUNS says how many, LESIONS_SOAK_SEED where to begin.
"""

import copy
import hashlib
import os
import random
import shutil
import sys

import pytest
import yaml
from faults_study import ROOT, STAGES, Study, tiny
from test_hostile_params import GOOD, options, walk

from lesions.params import Params, ParamsError, parse_params

pytestmark = pytest.mark.slow
RUNS = int(os.environ.get("LESIONS_SOAK_RUNS", "30"))
SEED = int(os.environ.get("LESIONS_SOAK_SEED", "1"))
# What one run may cost; the schema allows more, and a large machine has it.
MOST = {
    "n_images": 150,
    "epochs": 3,
    "filters": 16,
    "dense_units": 64,
    "size": 300,
    "input_size": 64,
    "n_resamples": 500,
    "threads": 4,
    "batch_size": 10**6,
    "n_neighbors": 1000,
    "min_group_size": 10**4,
}
# Where the data are; other tests draw that.
KEPT = ("profile", "data.source", "data.path", "data.files", "data.external", "split.column")
RUN = [stage for stage in STAGES if not stage.endswith("external")]  # in an order that they can run
# Runs the rest of its words, and writes the most memory that it had, in kB, to the first of them.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


def draw(rng, key, option, now):
    """Draw a value of the schema's range, its ends among them."""
    if "enum" in option:
        return rng.choice(option["enum"])
    kind = option.get("type")
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        items = options(option["items"])[0]
        return [draw(rng, key, items, 1) for _ in range(rng.randint(0, 3))]
    if kind == "integer":
        low = option.get("minimum", option.get("exclusiveMinimum", -1) + 1)
        high = option.get("maximum", option.get("exclusiveMaximum", 10**9) - 1)
        high = min(high, MOST.get(key, high))
        return rng.choice([low, high, rng.randint(low, high), rng.randint(low, min(high, low + 9))])
    if kind == "number":
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        near = (high - low) * 1e-6
        return rng.choice([low + near, high - near, rng.uniform(low, high)])
    return now


def usual():
    """Give the settings of a study of one model, undrawn."""
    params = copy.deepcopy(GOOD)
    tiny(params)
    del params["models"]["vgg16"]
    return params


def drawn(rng):
    """Give settings that the schema accepts, up to eight of them drawn, and how many it refused."""
    refused = 0
    while True:
        params = copy.deepcopy(GOOD)
        tiny(params)
        del params["models"][rng.choice(["cnn", "vgg16"])]
        every = [keys_and_part[:2] for keys_and_part in walk(Params.model_json_schema(), params)]
        every = [(keys, part) for keys, part in every if ".".join(keys) not in KEPT]
        for keys, part in rng.sample(every, rng.randint(1, 8)):
            place = params
            for key in keys[:-1]:
                place = place.get(key) or {}
            option = rng.choice(options(part))
            if keys[-1] in place and "properties" not in option:
                place[keys[-1]] = draw(rng, keys[-1], option, place[keys[-1]])
        try:
            parse_params(yaml.safe_dump(params), place="params.yaml")
        except ParamsError:
            refused += 1
        else:
            return params, refused


def outs(stage, model):
    """Give what a stage may write, as dvc.yaml has it."""
    body = STAGES[stage].get("do", STAGES[stage])
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in body.get(kind, [])]
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    return [name.replace("${key}", model) for name in names]


class Run:
    """One study from nothing in a folder of its own, until a stage fails."""

    def __init__(self, folder, params):
        shutil.copytree(ROOT / "templates", folder / "templates")
        (folder / "data/source").mkdir(parents=True)
        (folder / "tmp").mkdir()
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        own, measured, model = {"params.yaml"}, folder / "measured", next(iter(params["models"]))
        before = ("env", f"TMPDIR={folder / 'tmp'}", sys.executable, "-c", MEASURED, measured)
        self.peaks, may_be = {}, ["templates/"]
        for self.stage in RUN:
            may_be += outs(self.stage, model)
            self.code, self.said = Study(folder).run(self.stage, model=model, before=before)
            self.peaks[self.stage] = int(measured.read_text())
            measured.unlink()
            if self.code:
                may_be.append(".resume/")
                break
        files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        self.left = [name for name in files if not name.startswith(tuple(may_be)) | (name in own)]
        self.digests = {
            name: hashlib.sha256(file.read_bytes()).digest() for name, file in files.items()
        }
        shutil.rmtree(folder)


def test_whatever_the_settings_a_study_ends_well_or_says_why_not(tmp_path, capsys):
    refused, stopped = 0, []
    first = Run(tmp_path / "first", usual())
    assert (first.code, first.left) == (0, []), first.said
    for number in range(SEED, SEED + RUNS - 2):
        params, more = drawn(random.Random(number))
        refused += more
        run = Run(tmp_path / "drawn", params)
        case = f"LESIONS_SOAK_SEED={number}: {run.stage} ended with {run.code}\n{run.said}"
        assert run.left == [], case
        if run.code:
            assert run.code == 1, case
            assert "Traceback" not in run.said, case
            assert run.said, case
            stopped.append(f"{number}: {run.stage}: {run.said.splitlines()[-1]}")
    last = Run(tmp_path / "first", usual())
    assert last.digests == first.digests
    for stage, peak in last.peaks.items():  # what came between has left nothing that grows
        assert peak < first.peaks[stage] * 1.2, stage
    with capsys.disabled():
        print(
            f"\n{RUNS} runs; {refused} settings refused before one ran; {len(stopped)} stopped:",
            *stopped,
            sep="\n",
        )
