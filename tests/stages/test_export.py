"""Stage `export` in a clone with the whole pipeline, and `lesions predict` with what it wrote."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
ENTRY = {"weights": "float16", "false_alarms": 0.05}


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone with an exported CNN, after `dvc repro`."""

    def export(params):
        params["exports"] = {"cnn": ENTRY}
        params["models"] = {"cnn": params["models"]["cnn"]}
        params["backbones"] = {}
        params["predict"]["tta"] = "flips"

    clone.edit(export)
    assert "export@cnn" in clone.repro()
    clone.commit("exported")
    return clone


def test_the_file_agrees_with_keras(reproduced):
    found = json.loads((reproduced.folder / "exports/cnn.json").read_text(encoding="utf-8"))
    partitions = pd.read_csv(reproduced.folder / "data/sets/study/partitions.csv")["partition"]
    assert found["n_images"] == (partitions == "val").sum()
    assert found["same_class"] == 1
    assert found["largest_difference"] < 0.01
    assert found["batch_difference"] < 1e-6
    assert found["scores"]["n_images"] == found["n_images"]
    assert (
        sum(sum(row.values()) for row in found["scores"]["confusion"].values()) == found["n_images"]
    )
    assert sum(found["self_test"]) == pytest.approx(1, abs=0.001)
    assert found["bytes"] == (reproduced.folder / "exports/cnn.onnx").stat().st_size


def test_lesions_predict_says_what_the_stages_say(reproduced):
    """From the photographs, with the study's own resizing and views, up to float16 weights."""
    raw = reproduced.folder / "data/sets/study/raw"
    printed = reproduced.run(
        *(sys.executable, "-m", "lesions.app", "predict", str(raw), "--model", "cnn", "--json")
    )
    found = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    table = pd.read_csv(reproduced.folder / "predictions/study/cnn.csv").set_index("image_id")
    file = reproduced.folder / "evaluation/calibration/cnn.json"
    temperature = json.loads(file.read_text(encoding="utf-8"))["temperature"]
    n_compared = 0
    for facts in found:
        image_id = facts["file"].rpartition("/")[2].removesuffix(".jpg")
        if image_id in table.index:
            row = table.loc[image_id].filter(like="p_").to_numpy(float)
            if temperature is not None:
                row = row ** (1 / temperature) / (row ** (1 / temperature)).sum()
            np.testing.assert_allclose(list(facts["probabilities"].values()), row, atol=0.02)
            n_compared += 1
    assert n_compared == len(table)
    assert len(found) == 90


def test_the_same_settings_give_the_same_bytes(reproduced):
    file = reproduced.folder / "exports/cnn.onnx"
    before = file.read_bytes()
    reproduced.run("dvc", "repro", "--force", "--single-item", "export@cnn")
    assert file.read_bytes() == before
    assert reproduced.run("git", "status", "--porcelain", "--", "dvc.lock", "exports") == ""


def test_a_change_of_the_export_runs_nothing_else(reproduced):
    reproduced.edit(lambda params: params["exports"]["cnn"].update(weights="int8"))
    assert reproduced.repro() == ["export@cnn", "explain@cnn", "report", "card"]
    found = json.loads((reproduced.folder / "exports/cnn.json").read_text(encoding="utf-8"))
    assert found["same_class"] > 0.8


def test_an_export_that_is_dropped_leaves_the_rest(reproduced):
    reproduced.edit(lambda params: params["exports"].clear())
    assert reproduced.repro() == ["report", "card"]
