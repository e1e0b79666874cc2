"""`lesions evaluate` on photographs whose scores are known."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up_model import write_model
from PIL import Image

from lesions.app import command_line
from lesions.app.command_line import main
from lesions.app.formats import DISCLAIMER
from lesions.datasets.layouts import recognise

COLOURS = {"red": (150, 60, 60), "green": (60, 150, 60), "blue": (60, 60, 150)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folders of ten photographs of each colour; two red ones are called green."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            shade = np.clip(np.array(colour) + rng.integers(-5, 6, 3), 0, 255)
            seen = COLOURS["red"] if name == "green" and number < 2 else tuple(shade.tolist())
            path = tmp_path / f"photos/{name}/{name}_{number}.png"
            Image.new("RGB", (20, 20), seen).save(path)
    write_model(tmp_path / "exports/colours.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*arguments):
    return main(["evaluate", "photos", "--model", "colours", *arguments])


def test_scores_tables_and_a_report_are_written(folder, capfd):
    assert evaluate() == 0
    out = folder / "lesions-evaluation"
    details = json.loads((out / "details.json").read_text(encoding="utf-8"))
    assert details["n_images"] == 30
    assert details["headline"]["accuracy"]["value"] == pytest.approx(28 / 30)
    assert details["confusion"]["green"] == {"red": 2, "green": 8, "blue": 0}
    predictions = pd.read_csv(out / "predictions.csv")
    assert list(predictions) == [
        *("image_id", "dx", "predicted", "p_red", "p_green", "p_blue", "prediction_set"),
        *("class_conditional_set", "distance", "out_of_distribution"),
    ]
    assert (predictions["dx"] == predictions["predicted"]).sum() == 28
    assert len(predictions) == 30
    with Image.open(out / "confusion.png") as picture:
        assert picture.size[0] > 300
    report = (out / "report.md").read_text(encoding="utf-8")
    printed = capfd.readouterr()
    assert report.strip() in printed.out
    assert "| accuracy                | 0.933 (" in report
    assert "| green, a green one |       10 | 0.80 (" in report
    assert f"> {DISCLAIMER}" in report
    assert "Whether the model was trained on some of them is not checked" in report
    assert DISCLAIMER in printed.err


def test_probabilities_are_those_of_lesions_predict(folder, capfd):
    evaluate()
    capfd.readouterr()
    main(["predict", "photos", "--model", "colours", "--json"])
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    table = pd.read_csv("lesions-evaluation/predictions.csv").set_index("image_id")
    for facts in found:
        row = table.loc[facts["file"].rpartition("/")[2].removesuffix(".png")]
        expected = list(facts["probabilities"].values())
        assert row[["p_red", "p_green", "p_blue"]].tolist() == expected
        assert row["prediction_set"].split() == facts["prediction_set"]
        assert row["distance"] == facts["distance"]


def test_other_names_are_mapped_and_others_left_out(folder):
    (folder / "photos/red").rename(folder / "photos/rouge")
    (folder / "photos/blue").rename(folder / "photos/scar")
    assert evaluate("--layout", "folders", "--map", "rouge=red", "--exclude", "scar") == 0
    details = json.loads((folder / "lesions-evaluation/details.json").read_text(encoding="utf-8"))
    assert details["n_images"] == 20
    assert details["classes_without_images"] == ["blue"]
    assert details["excluded"] == {"scar": 10}


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (
            lambda folder: (folder / "photos/red").rename(folder / "photos/pink"),
            [],
            "Map each to a code in --map, or leave it out by --exclude",
        ),
        (
            lambda folder: (folder / "photos/red/red_0.png").write_bytes(b"none"),
            [],
            "red_0.png",
        ),
        (
            lambda folder: (folder / "out/kept").mkdir(parents=True),
            ["--out", "out"],
            "out already exists; name another folder with --out, or remove it",
        ),
        (
            lambda folder: (folder / "file").write_bytes(b""),
            ["--out", "file/out"],
            "file",
        ),
    ],
)
def test_a_fault_is_said_and_nothing_is_written(folder, capfd, spoil, arguments, message):
    spoil(folder)
    assert evaluate(*arguments) == 1
    assert message in capfd.readouterr().err
    assert not (folder / "lesions-evaluation").exists()


def test_wrong_pairs_are_refused(folder):
    with pytest.raises(SystemExit) as exit_:
        evaluate("--map", "rouge")
    assert exit_.value.code == 2


def test_layouts_are_those_that_can_be_read(folder, capfd):
    assert sorted(command_line.LAYOUTS) == sorted([*recognise.LAYOUTS, "auto"])
    assert evaluate() == 0
    assert "--layout: auto took folders" in capfd.readouterr().err
