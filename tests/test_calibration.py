import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from lesions.calibration import (
    apply_calibration,
    apply_temperature,
    calibrate,
    calibration_part,
    describe_calibration,
    fit_temperature,
    halve,
    log_losses,
)
from lesions.taxonomy import CODES, PROBABILITIES

ROOT = Path(__file__).parents[1]
SETTINGS = {"method": "temperature", "coverage": 0.9, "seed": 42}


def draw(n_images, *, sharpness=1.0, seed=0):
    """Give labels drawn from a model's true probabilities, and those with logits × `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n_images, 7))
    labels = (rng.gumbel(size=logits.shape) + logits).argmax(axis=1)
    return labels, softmax(logits * sharpness, axis=1)


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


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature):
    # The labels follow softmax(z); a model that says softmax(T z) is mended by dividing by T.
    labels, probabilities = draw(20_000, sharpness=temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_on_a_fine_grid_is_better():
    labels, probabilities = draw(300, sharpness=1.7)
    best = log_losses(
        labels, apply_temperature(probabilities, fit_temperature(labels, probabilities))
    )
    for temperature in np.linspace(0.1, 10, 500):
        other = log_losses(labels, apply_temperature(probabilities, temperature))
        assert best.mean() <= other.mean() + 1e-9


def test_a_temperature_of_two_takes_the_square_root():
    # sqrt(0.64, 0.16, 0.04 × 5) = 0.8, 0.4, 0.2 × 5: divided by their sum, 2.2.
    tempered = apply_temperature(np.array([[0.64, 0.16, 0.04, 0.04, 0.04, 0.04, 0.04]]), 2)
    assert tempered[0] == pytest.approx(np.array([0.8, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2]) / 2.2)


def test_exact_zeros_are_harmless_and_rows_sum_to_one():
    certain = np.eye(7)
    for temperature in (0.1, 1, 10):
        tempered = apply_temperature(certain, temperature)
        assert tempered.sum(axis=1) == pytest.approx(np.ones(7))
        assert (tempered >= 0).all()
    # Of a certain row, ln 1e-7 is divided by 10: 10^-0.7 beside 1.
    assert tempered[0, 1] == pytest.approx(10**-0.7 / (1 + 6 * 10**-0.7))


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.3, 10])
def test_the_most_probable_diagnosis_stays_the_same(temperature):
    _, probabilities = draw(2000, sharpness=4)
    written = np.round(probabilities, 6)
    written[:3] = [0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05]  # ties too
    tempered = apply_temperature(written, temperature)
    assert (tempered.argmax(axis=1) == written.argmax(axis=1)).all()


def test_the_mean_log_loss_equals_scikit_learns():
    labels, probabilities = draw(200)
    expected = log_loss(labels, probabilities, labels=range(7))
    assert log_losses(labels, probabilities).mean() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_must_be_a_number_above_zero(temperature):
    with pytest.raises(ValueError, match="finite number above 0; found"):
        apply_temperature(np.full((1, 7), 1 / 7), temperature)


def test_bad_probabilities_are_refused():
    labels, probabilities = draw(20)
    with pytest.raises(ValueError, match="must sum to 1"):
        fit_temperature(labels, probabilities / 2)
    with pytest.raises(ValueError, match="Labels must be"):
        fit_temperature(labels[1:], probabilities)


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
        written.append((tmp_path / name / "cnn.json").read_text())
    assert written[0] == written[1]
    assert json.loads(written[0])["conformal"]["n_images"] == 40
