import json
import runpy
import sys

import numpy as np
import pandas as pd
import pytest
from cloned import ROOT
from made_up import CODES, PROBABILITIES, draw_labels

from lesions.evaluation.calibration.calibrate import (
    calibrate,
    collect_calibration_images,
    describe_calibration,
    split_in_half,
)
from lesions.evaluation.calibration.temperature import fit_temperature
from lesions.probabilities import apply_calibration, apply_temperature

SETTINGS = {"method": "temperature", "partition": "cal", "coverage": 0.9, "seed": 42}


def make_images(n_images, *, group_size=1, sharpness=1.0):
    """Return calibration images, `group_size` neighbouring ones in each lesion and group."""
    labels, probabilities = draw_labels(n_images, sharpness=sharpness)
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
def test_halves_share_no_group_and_each_class_is_divided_evenly(seed):
    images = make_images(200, group_size=3)
    first = split_in_half(images, seed=seed)
    assert not set(images["group"][first]) & set(images["group"][~first])
    groups = images.assign(first=first).drop_duplicates("group")
    counts = pd.crosstab(groups["label"], groups["first"])
    assert (counts[True] - counts[False]).abs().max() <= 1
    assert abs(counts[True].sum() - counts[False].sum()) <= 1


def test_the_halves_depend_only_on_the_seed():
    images = make_images(100, group_size=2)
    assert (split_in_half(images, seed=1) == split_in_half(images, seed=1)).all()
    assert (split_in_half(images, seed=1) != split_in_half(images, seed=2)).any()
    # They do not depend on the order of the rows.
    backwards = images[::-1]
    assert (split_in_half(backwards, seed=1)[::-1] == split_in_half(images, seed=1)).all()


def test_the_first_half_fits_the_temperature_and_the_second_the_thresholds():
    images = make_images(400, group_size=2, sharpness=2)
    made = calibrate(images, **SETTINGS)
    first = split_in_half(images, seed=42)
    half = images[first]
    assert made["calibrated"]
    assert made["temperature"] == fit_temperature(
        half["label"].to_numpy(), half[list(PROBABILITIES)].to_numpy()
    )
    assert (made["n_images"], made["n_lesions"]) == (first.sum(), half["lesion_id"].nunique())
    assert made["conformal"]["n_images"] == (~first).sum()
    counts = images.loc[~first, "label"].value_counts()
    for label, dx in enumerate(CODES):
        assert made["conformal"]["classes"][dx]["n_images"] == counts.get(label, 0)
    losses = made["negative_log_likelihood"]
    assert losses["after"] < losses["before"]
    assert json.loads(json.dumps(made)) == made


def test_the_second_half_does_not_change_the_temperature():
    images = make_images(200)
    changed = images.copy()
    second = ~split_in_half(images, seed=42)
    changed.loc[second, list(PROBABILITIES)] = 1 / 7
    before, after = calibrate(images, **SETTINGS), calibrate(changed, **SETTINGS)
    assert before["temperature"] == after["temperature"]
    assert before["conformal"] != after["conformal"]


def test_all_validation_images_fit_the_temperature_and_there_are_no_thresholds():
    images = make_images(101, group_size=2, sharpness=2).assign(partition="val")
    made = calibrate(images, **SETTINGS | {"partition": "val"})
    labels, probabilities = images["label"].to_numpy(), images[list(PROBABILITIES)].to_numpy()
    assert made["temperature"] == fit_temperature(labels, probabilities)
    assert (made["partition"], made["n_images"], made["n_lesions"]) == ("val", 101, 51)
    assert made["conformal"] is None
    assert describe_calibration(made).endswith("fitted on 101 validation images")


@pytest.mark.parametrize(
    ("n_images", "changes", "reason"),
    [
        (100, {"method": "none"}, "calibrate.method is none"),
        (0, {}, "the partition 'cal' has no images; change sets.study.split so"),
        (0, {"partition": "val"}, "the partition 'val' has no images; change sets.study.split so"),
        (19, {}, "need 10 (images: 19, groups: 19); change sets.study.split so that"),
        (9, {"partition": "val"}, "there are 9 validation images, and 10 are needed; change"),
    ],
)
def test_without_calibration_there_is_a_reason(n_images, changes, reason):
    made = calibrate(make_images(100)[:n_images], **SETTINGS | changes)
    assert not made["calibrated"]
    assert made["reason"].startswith("not calibrated: ")
    assert reason in made["reason"]
    assert made["temperature"] is made["conformal"] is None
    assert describe_calibration(made) == made["reason"]
    probabilities = np.eye(7)
    assert (apply_calibration(probabilities, made) == probabilities).all()


def test_one_large_group_cannot_be_halved():
    images = make_images(60).assign(group="HAM_0000000")
    assert "(images: 60, groups: 1)" in calibrate(images, **SETTINGS)["reason"]


def test_a_calibrated_model_is_described_and_its_probabilities_are_scaled():
    images = make_images(200, sharpness=2)
    made = calibrate(images, **SETTINGS)
    assert describe_calibration(made) == (
        f"temperature {made['temperature']:.2f}, fitted on {made['n_images']} calibration images"
    )
    probabilities = images[list(PROBABILITIES)].to_numpy()
    expected = apply_temperature(probabilities, made["temperature"])
    assert (apply_calibration(probabilities, made) == expected).all()


def test_only_the_calibration_images_are_collected():
    known = make_images(40)
    known["partition"] = ["cal", "test", "val", "test"] * 10
    predictions = known.drop(columns=["lesion_id", "group"])
    shuffled = known.sample(frac=1, random_state=0)  # matched by image_id, not by row
    images = collect_calibration_images(predictions, shuffled, shuffled, partition="cal")
    pd.testing.assert_frame_equal(images, known[::4].reset_index(drop=True))
    images = collect_calibration_images(predictions, shuffled, shuffled, partition="val")
    pd.testing.assert_frame_equal(images, known[2::4].reset_index(drop=True))


def test_an_image_without_a_group_or_with_two_lesions_is_refused():
    known = make_images(20)
    predictions = known.drop(columns=["lesion_id", "group"])
    with pytest.raises(KeyError, match="ISIC_0000000"):
        collect_calibration_images(predictions, known, known[2:], partition="cal")
    twice = pd.concat([known, known[5:6]])
    with pytest.raises(ValueError, match=r"Length of values \(21\)"):
        collect_calibration_images(predictions, twice, known, partition="cal")


def test_the_stage_writes_the_same_bytes_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(ROOT)
    known = make_images(80, group_size=2)
    known.drop(columns=["lesion_id", "group"]).to_csv(tmp_path / "predictions.csv", index=False)
    known[["image_id", "lesion_id"]].to_csv(tmp_path / "labels.csv", index=False)
    known[["image_id", "group"]].to_csv(tmp_path / "groups.csv", index=False)
    known[["image_id", "partition"]].to_csv(tmp_path / "partitions.csv", index=False)
    written = []
    for name in ("once", "twice"):
        argv = ["calibrate.py"]
        for flag in ("predictions", "labels", "groups", "partitions"):
            argv += [f"--{flag}", str(tmp_path / f"{flag}.csv")]
        argv += ["--calibration", str(tmp_path / name / "cnn.json")]
        monkeypatch.setattr(sys, "argv", argv)
        runpy.run_path(str(ROOT / "stages/calibrate.py"), run_name="__main__")
        written.append((tmp_path / name / "cnn.json").read_text(encoding="utf-8"))
    assert written[0] == written[1]
    assert json.loads(written[0])["conformal"]["n_images"] == 40
    assert json.loads(written[0])["decision"] == {"rule": "plain", "exponent": 0.0}
