"""`lesions predict` as a user runs it, with a model whose answers are known."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cloned import ROOT
from made_up_model import CODES, FACTS, write_model
from PIL import Image

from lesions.app.command_line import main
from lesions.app.formats import DISCLAIMER
from lesions.app.models import EXPORTS, RELEASED, find_model

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a photograph of each colour, noise, and the model; it is the working one."""
    (tmp_path / "photos").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"photos/{name}.png")
    write_model(tmp_path / "exports/colours.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lesions(capfd, folder):
    def run(*arguments, status=0):
        found = main([*arguments, "--model", "colours"])
        printed = capfd.readouterr()
        assert found == status, printed.err
        return printed.out, printed.err

    return run


def noise(path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_line_for_each_photograph(lesions):
    out, err = lesions("predict", "photos")
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["photos/blue.png", "blue"],
        ["photos/green.png", "green"],
        ["photos/red.png", "red"],
    ]
    assert err == f"{DISCLAIMER}\n"


def test_probabilities_of_the_most_probable_classes_and_the_set(lesions):
    Image.new("RGB", (40, 30), (120, 60, 60)).save("photos/brown.png")
    out, _ = lesions("predict", "photos/brown.png", "--top", "2")
    # Logits are 6, 3, 3; the temperature halves their differences: 1 / (1 + 2 exp(-1.5)) = 0.691.
    # A class is in the set if its probability is at least 1 - 0.7.
    assert out == "photos/brown.png  red   0.69  green 0.15  set: red\n"


def test_a_decision_that_is_not_the_most_probable_class_is_shown(lesions, folder):
    rule = {"rule": "prior_adjusted", "exponent": 1.0}
    priors = {"red": 0.9, "green": 0.05, "blue": 0.05}
    calibration = FACTS["calibration"] | {"decision": rule | {"priors": priors}}
    write_model(folder / "exports/colours.onnx", calibration=calibration)
    Image.new("RGB", (40, 30), (120, 60, 60)).save("photos/brown.png")
    out, _ = lesions("predict", "photos/brown.png", "--top", "1")
    assert out == "photos/brown.png  red   0.69  decision rule: green  set: red\n"


def test_json_has_an_object_a_line(lesions):
    out, _ = lesions("predict", "photos", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [facts["predicted"] for facts in found] == ["blue", "green", "red"]
    for facts in found:
        assert list(facts["probabilities"]) == list(CODES)
        assert sum(facts["probabilities"].values()) == pytest.approx(1, abs=2e-4)
    assert found[2]["prediction_set"] == ["red"]
    assert found[2]["class_conditional_set"] == ["red"]
    # The variance of a red photograph's pixels is 7,200, and the threshold is 4,000.
    assert (found[2]["distance"], found[2]["out_of_distribution"]) == (1.8, True)


def test_a_csv_has_the_same_as_json(lesions):
    rows = list(csv.DictReader(io.StringIO(lesions("predict", "photos", "--csv")[0])))
    found = [json.loads(line) for line in lesions("predict", "photos", "--json")[0].splitlines()]
    for row, facts in zip(rows, found, strict=True):
        assert row["file"] == facts["file"]
        assert {
            f"p_{code}": str(p) for code, p in facts["probabilities"].items()
        }.items() <= row.items()
        assert row["prediction_set"].split() == facts["prediction_set"]
        assert row["out_of_distribution"] == str(facts["out_of_distribution"])


def test_what_looks_unlike_the_training_photographs_is_said(lesions):
    out, _ = lesions("predict", "photos/red.png")
    assert "looks unlike" not in out or "(distance 1.8)" in out
    Image.new("RGB", (40, 30), (90, 100, 90)).save("photos/plain.png")
    assert "looks unlike" not in lesions("predict", "photos/plain.png")[0]
    assert "looks unlike the training photographs (distance 1.8)" in out


def test_a_bad_file_has_its_own_line_and_the_others_are_predicted(lesions):
    with open("photos/cut.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    out, err = lesions("predict", "photos", "nosuch.jpg", status=1)
    assert len(out.splitlines()) == 3
    _, cut, absent = err.splitlines()
    assert cut.startswith("lesions: photos/cut.png is not a complete image")
    assert absent == "lesions: There is no file nosuch.jpg"


def test_in_csv_and_json_an_error_is_a_row(lesions):
    rows = list(csv.DictReader(io.StringIO(lesions("predict", "no.jpg", "--csv", status=1)[0])))
    assert [row["error"] for row in rows] == ["There is no file no.jpg"]
    facts = json.loads(lesions("predict", "no.jpg", "--json", status=1)[0])
    assert facts == {"file": "no.jpg", "error": "There is no file no.jpg"}


def test_folders_patterns_and_files_are_found_in_order(lesions):
    os.mkdir("photos/.hidden")
    os.mkdir("photos/more")
    for name in ("photos/.hidden/a.png", "photos/more/b.PNG", "photos/notes.txt"):
        noise(name) if not name.endswith("txt") else open(name, "w", encoding="utf-8").close()
    out, _ = lesions("predict", "photos/r*.png", "photos", "photos/blue.png", "--json")
    assert [json.loads(line)["file"] for line in out.splitlines()] == [
        "photos/red.png",
        "photos/blue.png",
        "photos/green.png",
        "photos/more/b.PNG",
        "photos/red.png",
        "photos/blue.png",
    ]


def test_what_names_no_photograph_is_an_error(lesions):
    os.mkdir("empty")
    _, err = lesions("predict", "empty", "x*.jpg", status=1)
    assert "empty has no JPEG, PNG, TIFF, WebP or BMP files" in err
    assert "No file matches x*.jpg" in err


def test_more_photographs_than_a_batch_have_the_answers_of_each_alone(lesions):
    os.mkdir("many")
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.new("RGB", (20, 20), tuple(rng.integers(0, 256, 3).tolist())).save(
            f"many/{number:02}.png"
        )
    together = lesions("predict", "many", "--json")[0].splitlines()
    alone = [lesions("predict", f"many/{n:02}.png", "--json")[0].strip() for n in range(40)]
    assert together == alone


def test_a_damaged_jpeg_is_refused_by_name_beside_whole_ones(lesions, folder):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    for name in ("whole", "damaged"):
        Image.fromarray(pixels).save(f"photos/{name}.jpg", quality=90)
    file = folder / "photos/damaged.jpg"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2] = b"\xff\xd3"  # a restart where none is due
    file.write_bytes(data)
    out, err = lesions("predict", "photos", status=1)
    assert "photos/damaged.jpg is damaged, libjpeg says" in err
    assert "photos/whole.jpg" in out
    assert len(out.splitlines()) == 4


def test_no_error_is_lost_among_many_photographs(lesions):
    """Decoders write to stderr, which is captured while photographs are decoded in a thread."""
    os.mkdir("many")
    for number in range(200):
        with open(f"many/{number:03}.png", "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + bytes(number))
        noise(f"many/{number:03}_good.png")
    out, err = lesions("predict", "many", status=1)
    assert len(out.splitlines()) == 200
    refused = [line.split()[1] for line in err.splitlines()[1:]]
    assert refused == [f"many/{number:03}.png" for number in range(200)]


def test_strange_names_stay_on_one_line(lesions):
    names = ["two\nlines.png", "\x1b[31mred.png", "späte Läsion.png"]
    for name in names:
        Image.new("RGB", (20, 20), (200, 20, 20)).save(f"photos/{name}")
    out, _ = lesions("predict", "photos")
    assert len(out.splitlines()) == 6
    assert "\x1b" not in out
    assert "späte Läsion.png" in out
    found = [json.loads(line) for line in lesions("predict", "photos", "--json")[0].splitlines()]
    assert {f"photos/{name}" for name in names} <= {facts["file"] for facts in found}


def test_special_files_are_refused(lesions, folder):
    os.mkfifo(folder / "pipe.jpg")
    os.symlink("nowhere", folder / "dangling.jpg")
    _, err = lesions("predict", "pipe.jpg", "dangling.jpg", "/dev/null", status=1)
    assert "pipe.jpg is not a file that can be read" in err
    assert "There is no file dangling.jpg" in err
    assert "/dev/null is not a file that can be read" in err


def run(*arguments, folder, **options):
    """Run the command as a program; return what it was and printed."""
    return subprocess.run(
        [sys.executable, "-m", "lesions.app", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        **options,
    )


def test_standard_input_is_read(folder):
    photograph = (folder / "photos/red.png").read_bytes()
    done = run("predict", "-", "--model", "colours", folder=folder, input=photograph)
    assert done.stdout.decode().startswith("standard input  red   0.98")
    empty = run("predict", "-", "--model", "colours", folder=folder, input=b"")
    assert empty.returncode == 1
    assert b"standard input is empty" in empty.stderr


def test_a_name_that_is_not_utf_8_is_written_as_it_is(folder):
    name = os.fsencode(folder / "photos") + b"/\xff.png"
    with open(name, "wb") as file:
        file.write((folder / "photos/red.png").read_bytes())
    done = run("predict", b"photos/\xff.png", "--model", "colours", "--csv", folder=folder)
    assert done.stdout.splitlines()[1].startswith(b"photos/\xff.png,red,")


def test_predicting_imports_neither_tensorflow_nor_pandas(folder):
    code = (
        "import sys; from lesions.app.command_line import main; "
        "main(['predict', 'photos/red.png', '--model', 'colours']); "
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'scipy', 'matplotlib', 'onnx'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "x", "--model", "nosuch"], "There is no model nosuch; choose from"),
        (["info", "--model", "nosuch.onnx"], "There is no model nosuch.onnx"),
        (["evaluate", "nosuch", "--model", "colours"], "nosuch is not a folder"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(folder, capfd, arguments, message):
    assert main(arguments) == 1
    assert f"lesions: {message}" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["predict"], ["predict", "x", "--top", "0"], ["predict", "x", "--csv", "--json"]],
)
def test_wrong_usage_exits_with_2(folder, capfd, arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_models_are_listed_and_described(folder, capfd):
    assert main(["models"]) == 0
    assert "colours  exports/colours.onnx" in capfd.readouterr().out.splitlines()
    assert main(["info", "--model", "colours"]) == 0
    described = capfd.readouterr().out
    assert "red a red one; green a green one; blue a blue one" in described
    assert DISCLAIMER in described


def test_what_cannot_be_read_is_an_error_of_its_own(lesions, folder):
    name = f"{'a' * 300}.jpg"
    _, err = lesions("predict", name, "", "photos", status=1)
    assert f"{name} cannot be read: File name too long" in err
    assert "An empty name is no photograph" in err


def test_an_export_of_the_same_name_does_not_hide_the_packages_model(folder, capfd):
    write_model(folder / "exports/efficientnet_lite0.onnx")
    assert find_model(None).parent == RELEASED
    assert find_model("efficientnet_lite0") == EXPORTS / "efficientnet_lite0.onnx"


def test_a_model_that_is_not_calibrated_says_so(folder, capfd):
    calibration = {"temperature": None, "conformal": None, "decision": {"exponent": 0.0}}
    write_model(folder / "exports/colours.onnx", calibration=calibration)
    assert main(["predict", "photos/red.png", "--model", "colours"]) == 0
    assert "The probabilities of colours are not calibrated." in capfd.readouterr().err


def test_a_closed_or_full_output_is_said_without_a_traceback(folder):
    command = f"{sys.executable} -m lesions.app predict photos --model colours"
    for redirection, status in ((">&-", 0), ("2>&-", 0), (">/dev/full", 1), ("<&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{command} {redirection}"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == status, redirection
        assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_command_that_waits_for_standard_input(folder):
    with subprocess.Popen(
        [sys.executable, "-m", "lesions.app", "predict", "-", "--model", "colours"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stderr.readline()  # the disclaimer: it has started
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


def test_standard_input_can_be_named_once(lesions):
    _, err = lesions("predict", "-", "-", status=1)
    assert "Standard input can be read once" in err
