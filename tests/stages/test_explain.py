"""Stage `explain` in a clone with the whole pipeline."""

import json
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.app.explain import MARGIN, SHOWN

pytestmark = pytest.mark.slow
ENTRY = {"weights": "float16", "false_alarms": 0.05}
STAGE = "explain@cnn"


def read(clone):
    return json.loads((clone.folder / "explanations/cnn.json").read_text(encoding="utf-8"))


def write_masks(clone):
    """Write a mask for each photograph: an ellipse in the middle."""
    study = clone.folder / "data/sets/study"
    folder = clone.folder / "data/masks"
    folder.mkdir()
    for row in pd.read_csv(study / "labels.csv").itertuples():
        height, width = cv2.imread(str(study / "raw" / row.image_path)).shape[:2]
        mask = np.zeros((height, width), np.uint8)
        centre, axes = (width // 2, height // 2), (width // 4, height // 4)
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
        cv2.imwrite(str(folder / f"{row.image_id}_segmentation.png"), mask)


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone with an exported CNN, which ends in dense layers on a flattened map."""

    def export(params):
        params["exports"] = {"cnn": ENTRY}
        params["models"] = {"cnn": params["models"]["cnn"]}
        params["backbones"] = {}

    clone.edit(export)
    assert STAGE in clone.repro()
    clone.commit("explained")
    return clone


def test_without_masks_the_maps_are_measured_and_drawn(reproduced):
    found = read(reproduced)
    partitions = pd.read_csv(reproduced.folder / "data/sets/study/partitions.csv")["partition"]
    assert found["n_images"] == (partitions == "val").sum()
    assert found["localization"] is None
    assert found["shortcuts"] is None
    # Of two filters, two convolutions each; one dense layer and the output.
    assert found["randomization"]["n_layers"] == 6
    assert [row["layers"] for row in found["randomization"]["depths"]] == [1, 2, 5, 6]
    assert len(found["perturbation"]) == 3
    sheets = sorted(file.stem for file in (reproduced.folder / "plots/explanations/cnn").iterdir())
    assert len(sheets) == 14
    assert {"mel_right", "mel_wrong"} <= set(sheets)
    ignored = reproduced.run("git", "check-ignore", "plots/explanations/cnn/mel_right.png")
    assert ignored.strip() == "plots/explanations/cnn/mel_right.png"
    tracked = reproduced.run("git", "ls-files", "explanations").split()
    assert tracked == ["explanations/cnn.json"]


def test_lesions_explain_draws_what_a_network_with_dense_layers_sees(reproduced):
    """By Grad-CAM, which the exported file computes."""
    photograph = next((reproduced.folder / "data/sets/study/raw").rglob("*.jpg"))
    command = ("-m", "lesions.app", "explain", str(photograph), "--model", "cnn", "--out", "shown")
    printed = reproduced.run(sys.executable, *command)
    assert f"shown/{photograph.stem}.png" in printed
    picture = cv2.imread(str(reproduced.folder / "shown" / f"{photograph.stem}.png"))
    left, right = np.array_split(picture[MARGIN : MARGIN + SHOWN], 2, axis=1)
    assert np.abs(left.astype(int) - right).mean() > 5  # the overlay is no second photograph
    (reproduced.folder / "shown" / f"{photograph.stem}.png").unlink()


def test_the_same_settings_give_the_same_bytes(reproduced):
    reproduced.run("dvc", "repro", "--force", "--single-item", STAGE)
    assert reproduced.run("git", "status", "--porcelain", "--", "dvc.lock", "explanations") == ""


def test_masks_run_nothing_again_but_the_explanations_and_what_gathers(reproduced):
    write_masks(reproduced)
    reproduced.edit(lambda params: params["sets"]["study"].update(masks="data/masks"))
    assert set(reproduced.repro()) == {STAGE, "compare", "report", "card"}
    found = read(reproduced)
    assert len(found["shortcuts"]) == 5
    # An ellipse of half the height and half the width: π / 16 of the photograph.
    uniform = found["localization"][3]["energy"]["value"]
    assert uniform == pytest.approx(np.pi / 16, abs=0.01)


def test_a_missing_mask_is_named(reproduced):
    partitions = pd.read_csv(reproduced.folder / "data/sets/study/partitions.csv")
    name = partitions[partitions["partition"] == "val"]["image_id"].iloc[0]
    (reproduced.folder / f"data/masks/{name}_segmentation.png").unlink()
    printed = reproduced.run("dvc", "repro", "--force", "--single-item", STAGE, fails=True)
    assert f"The mask data/masks/{name}_segmentation.png is missing; every val" in printed
    assert "Traceback" not in printed


def test_explanations_that_are_dropped_leave_the_rest(reproduced):
    reproduced.edit(lambda params: params["exports"].clear())
    assert reproduced.repro() == ["report", "card"]
