"""Whole runs with settings drawn from the schema: each ends well or says why not.

LESIONS_SOAK_MINUTES says how long, LESIONS_SOAK_SEED where to begin.
"""

import copy
import os
import random
import resource
import shutil
import time

import pytest
import yaml
from faults_study import ROOT, STAGES, Study, tiny
from test_hostile_params import GOOD, options, walk

from lesions.params import Params, ParamsError, parse_params

pytestmark = pytest.mark.slow
MINUTES = float(os.environ.get("LESIONS_SOAK_MINUTES", "2"))
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
PLACES = ("data.path", "data.external", "profile", "split.column")  # names of files and columns
RUN = [name for name in STAGES if not name.endswith("external")]


def draw(rng, keys, option, now):
    """Draw a value of the schema's range, its ends among them."""
    if "enum" in option:
        return rng.choice(option["enum"])
    kind = option.get("type")
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        return [draw(rng, keys, options(option["items"])[0], 1) for _ in range(rng.randint(0, 3))]
    if kind == "integer":
        low = option.get("minimum", option.get("exclusiveMinimum", -1) + 1)
        high = option.get("maximum", option.get("exclusiveMaximum", 10**9) - 1)
        high = min(high, MOST.get(keys[-1], high))
        return rng.choice([low, high, rng.randint(low, high), rng.randint(low, min(high, low + 9))])
    if kind == "number":
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        near = (high - low) * 1e-6
        return rng.choice([low + near, high - near, rng.uniform(low, high)])
    return now


def drawn_settings(rng):
    """Give settings that the schema accepts, some of them drawn, and how many it refused before."""
    refused = 0
    while True:
        params = copy.deepcopy(GOOD)
        tiny(params)
        del params["models"]["cnn" if rng.random() < 0.2 else "vgg16"]
        every = [(keys, part) for keys, part, _ in walk(Params.model_json_schema(), params)]
        every = [entry for entry in every if ".".join(entry[0]) not in PLACES]
        for keys, part in rng.sample(every, rng.randint(1, 8)):
            place = params
            for key in keys[:-1]:
                place = place.get(key) or {}
            option = rng.choice(options(part))
            if keys[-1] in place and "properties" not in option:
                place[keys[-1]] = draw(rng, keys, option, place[keys[-1]])
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


def run_all(folder, params):
    """Run the stages in order until one fails; give its name, exit code and what it said."""
    shutil.copytree(ROOT / "templates", folder / "templates")
    (folder / "data/source").mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    model = next(iter(params["models"]))
    outs = []
    for stage in RUN:
        outs += declared(stage, model)
        code, said = Study(folder).run(stage, model=model)
        if code:
            outs.append(".resume/")
            break
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    own = ("params.yaml", "templates/")
    left = [name for name in files if not name.startswith((*own, *outs))]
    return stage, code, said, left


def test_whatever_the_settings_a_run_ends_well_or_says_why_not(tmp_path, capsys):
    end, number, refused, failed, peaks = time.monotonic() + 60 * MINUTES, 0, 0, {}, []
    while number < 3 or time.monotonic() < end:
        rng = random.Random(SEED + number)
        params, more = drawn_settings(rng)
        refused += more
        folder = tmp_path / str(number)
        folder.mkdir()
        stage, code, said, left = run_all(folder, params)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        case = f"LESIONS_SOAK_SEED={SEED + number}: {stage} ended with {code}\n{said}"
        assert left == [], case
        if code:
            assert code == 1, case
            assert "Traceback" not in said, case
            assert said, case
            failed[stage] = [*failed.get(stage, []), said.splitlines()[-1]]
        shutil.rmtree(folder)
        number += 1
    # KiB. Of the test's own process; each stage is one of its own, which ends.
    assert peaks[-1] - peaks[0] < 50 * 1024
    with capsys.disabled():
        print(
            f"\n{number} runs, {refused} settings refused before, stopped with a message: {failed}"
        )
