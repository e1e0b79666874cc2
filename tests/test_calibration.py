import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import draw

from lesions.calibration import (
    apply_calibration,
    calibrate,
    calibration_part,
    describe_calibration,
    halve,
)
from lesions.taxonomy import CODES, PROBABILITIES
from lesions.temperature import apply_temperature, fit_temperature

ROOT = Path(__file__).parents[1]
SETTINGS = {"method": "temperature", "coverage": 0.9, "seed": 42}


def table(n_images, *, group_size=1, sharpness=1.0):
    """Give a calibration part, `group_size` neighbouring images a lesion and a group."""
    labels, probabilities = draw(n_images, sharpness=sharpness)
    groups = [f"HAM_{row // group_size:07d}" for row in range(n_images)]
    return pd.DataFrame(
        {
            "image_id": [f"ISIC_{row:07d}" for row in range(n_images)],
            "partition": "cal",
            "label": np.repeat(labels[::group_size], group_size)[:n_images],
            **dict(zip(PROBABILITIES, np.round(probabilities, 6).T, strict=True)),
            "lesion_id": groups,
            "group": groups,
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_halves_share_no_group_and_each_class_is_dealt_evenly(seed):
    part = table(200, group_size=3)
    first = halve(part, seed=seed)
    assert not set(part["group"][first]) & set(part["group"][~first])
    groups = part.assign(first=first).drop_duplicates("group")
    dealt = pd.crosstab(groups["label"], groups["first"])
    assert (dealt[True] - dealt[False]).abs().max() <= 1
    assert abs(dealt[True].sum() - dealt[False].sum()) <= 1


def test_the_seed_alone_decides_the_halves():
    part = table(100, group_size=2)
    assert (halve(part, seed=1) == halve(part, seed=1)).all()
    assert (halve(part, seed=1) != halve(part, seed=2)).any()
    # Neither does the order of the rows.
    backwards = part[::-1]
    assert (halve(backwards, seed=1)[::-1] == halve(part, seed=1)).all()


def test_the_first_half_fits_the_temperature_and_the_second_the_thresholds():
    part = table(400, group_size=2, sharpness=2)
    made = calibrate(part, **SETTINGS)
    first = halve(part, seed=42)
    half = part[first]
    assert made["calibrated"]
    assert made["temperature"] == fit_temperature(
        half["label"].to_numpy(), half[list(PROBABILITIES)].to_numpy()
    )
    assert (made["n_images"], made["n_lesions"]) == (first.sum(), half["lesion_id"].nunique())
    assert made["conformal"]["n_images"] == (~first).sum()
    counts = part.loc[~first, "label"].value_counts()
    for label, dx in enumerate(CODES):
        assert made["conformal"]["classes"][dx]["n_images"] == counts.get(label, 0)
    losses = made["negative_log_likelihood"]
    assert losses["after"] < losses["before"]
    assert json.loads(json.dumps(made)) == made


def test_what_the_second_half_says_does_not_move_the_temperature():
    part = table(200)
    changed = part.copy()
    second = ~halve(part, seed=42)
    changed.loc[second, list(PROBABILITIES)] = 1 / 7
    before, after = calibrate(part, **SETTINGS), calibrate(changed, **SETTINGS)
    assert before["temperature"] == after["temperature"]
    assert before["conformal"] != after["conformal"]


@pytest.mark.parametrize(
    ("n_images", "method", "reason"),
    [
        (100, "none", "calibrate.method is none"),
        (0, "temperature", "sets no images aside"),
        (19, "temperature", "19 images in 19 groups make halves of"),
    ],
)
def test_what_is_not_calibrated_says_why(n_images, method, reason):
    made = calibrate(table(100)[:n_images], **(SETTINGS | {"method": method}))
    assert not made["calibrated"]
    assert made["reason"].startswith("not calibrated: ")
    assert reason in made["reason"]
    assert made["temperature"] is made["conformal"] is None
    assert describe_calibration(made) == made["reason"]
    probabilities = np.eye(7)
    assert (apply_calibration(probabilities, made) == probabilities).all()


def test_one_large_group_cannot_be_halved():
    part = table(60).assign(group="HAM_0000000")
    assert "60 images in 1 groups make halves of" in calibrate(part, **SETTINGS)["reason"]


def test_a_calibrated_model_says_its_temperature_and_gives_other_probabilities():
    part = table(200, sharpness=2)
    made = calibrate(part, **SETTINGS)
    said = f"temperature {made['temperature']:.2f}, fitted on {made['n_images']} images"
    assert said in describe_calibration(made)
    probabilities = part[list(PROBABILITIES)].to_numpy()
    expected = apply_temperature(probabilities, made["temperature"])
    assert (apply_calibration(probabilities, made) == expected).all()


def test_only_the_calibration_part_is_used():
    whole = table(40)
    whole["partition"] = ["cal", "test", "val", "test"] * 10
    predictions = whole.drop(columns=["lesion_id", "group"])
    shuffled = whole.sample(frac=1, random_state=0)  # matched by image_id, not by place
    part = calibration_part(predictions, shuffled, shuffled)
    pd.testing.assert_frame_equal(part, whole[::4].reset_index(drop=True))


def test_an_image_without_a_group_is_named():
    whole = table(20)
    predictions = whole.drop(columns=["lesion_id", "group"])
    with pytest.raises(ValueError, match=r"one group; 2 of the 20 .* first ISIC_0000000"):
        calibration_part(predictions, whole, whole[2:])
    twice = pd.concat([whole, whole[5:6]])
    with pytest.raises(ValueError, match=r"one lesion_id; 1 of the 20 .* first ISIC_0000005"):
        calibration_part(predictions, twice, whole)


def test_the_stage_writes_the_same_bytes_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(ROOT)
    whole = table(80, group_size=2)
    whole.drop(columns=["lesion_id", "group"]).to_csv(tmp_path / "predictions.csv", index=False)
    whole[["image_id", "lesion_id"]].to_csv(tmp_path / "labels.csv", index=False)
    whole[["image_id", "group"]].to_csv(tmp_path / "groups.csv", index=False)
    written = []
    for name in ("once", "twice"):
        argv = ["calibrate.py", "--name", "cnn"]
        for flag in ("predictions", "labels", "groups"):
            argv += [f"--{flag}", str(tmp_path / f"{flag}.csv")]
        argv += ["--calibration", str(tmp_path / name / "cnn.json")]
        monkeypatch.setattr(sys, "argv", argv)
        runpy.run_path(str(ROOT / "stages/calibrate.py"), run_name="__main__")
        written.append((tmp_path / name / "cnn.json").read_text(encoding="utf-8"))
    assert written[0] == written[1]
    assert json.loads(written[0])["conformal"]["n_images"] == 40
