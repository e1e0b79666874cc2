"""`tools/profiles.py` and `tools/check_data.py`, run in a clone."""

import os
import socket
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from dvc.repo import Repo

from lesions.config import parse_params
from lesions.config.sets import FolderSource, MedmnistSource, SyntheticSource
from lesions.datasets.ham10000 import CODES
from lesions.datasets.ingest import ingest_set

sys.path.append(str(ROOT / "tools"))
import check_data

# Rows of ground truths of the ISIC: seven photographs of each class.
SEVENTEEN = [
    f"ISIC_{number:07d},{float(number % 3 == 1)},{float(number % 3 == 2)}" for number in range(21)
]
NINETEEN = [
    f"ISIC_{number:07d},{','.join(str(float(number % 9 == k)) for k in range(9))}"
    for number in range(63)
]


@pytest.fixture
def profiles(clone):
    """Run `tools/profiles.py` in the clone, which is cleaned afterwards."""

    def run(*words, fails=False):
        return clone.run(sys.executable, "tools/profiles.py", *words, fails=fails)

    yield run
    clone.run("git", "checkout", "--quiet", ".")


def read(clone, name="params.yaml"):
    return (clone.folder / name).read_text(encoding="utf-8")


def add_external_set(params, path):
    source = {"kind": "folder", "path": path, "extra_images": "refuse"}
    params["sets"]["isic"] = {"source": source, "split": {"by": "none"}}


def take_photographs_from(folder):
    def change(params):
        source = {"kind": "folder", "path": str(folder), "extra_images": "refuse"}
        params["sets"]["study"]["source"] = source

    return change


def set_path(path):
    return lambda params: params["sets"]["study"]["source"].update(path=path)


# make repro PROFILE=…


def test_a_profile_becomes_the_settings_and_the_demonstration_comes_back(clone, profiles):
    committed = read(clone)
    assert profiles("use", "paper") == ""
    assert read(clone) == read(clone, "profiles/paper.yaml")
    profiles("use", "demo")
    assert read(clone) == committed


@pytest.mark.parametrize(
    ("profile", "truth"),
    [
        ("isic2017", ["image_id,melanoma,seborrheic_keratosis", *SEVENTEEN]),
        ("isic2019", ["image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK", *NINETEEN]),
    ],
)
def test_a_profile_of_a_challenge_is_checked_against_its_files(clone, profiles, profile, truth):
    folder = clone.folder / "data/source"
    names = {"isic2017": "ISIC-2017_Training_Part3", "isic2019": "ISIC_2019_Training"}
    file = folder / f"{names[profile]}_GroundTruth.csv"
    file.write_text("\n".join(truth), encoding="utf-8")
    for row in truth[1:]:
        (folder / f"{row.partition(',')[0]}.jpg").write_bytes(b"not decoded")
    try:
        assert "The settings are valid" in profiles("check", profile)
        (folder / "ISIC_0000000.jpg").unlink()
        found = profiles("check", profile, fails=True)
        assert "1 of" in found
        assert "have no file, first ISIC_0000000" in found
    finally:
        for path in (file, *folder.glob("*.jpg")):
            path.unlink()


def test_a_profile_that_downloads_is_checked_without_its_data(profiles):
    assert "The settings are valid" in profiles("check", "melanoma")


def test_a_profile_without_its_data_changes_nothing(clone, profiles):
    committed = read(clone)
    assert "No metadata in data/source or below" in profiles("use", "dermamnist", fails=True)
    assert read(clone) == committed


def test_a_profile_never_overwrites_edits(clone, profiles):
    with (clone.folder / "params.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# mine\n")
    assert "has edits of yours" in profiles("use", "paper", fails=True)
    assert read(clone).endswith("# mine\n")


def test_an_edited_profile_can_be_used_again(clone, profiles):
    profiles("use", "paper")
    clone.replace("profiles/paper.yaml", "seed: 42", "seed: 43")
    profiles("use", "paper")
    assert "seed: 43" in read(clone)
    profiles("use", "demo")


def test_an_unknown_profile_is_refused_with_those_that_there_are(profiles):
    message = (
        "PROFILE=papr is unknown; choose from demo, ablation, dermamnist, dermamnist-c, ensemble, "
        "folds, isic2017, isic2019, melanoma, paper, recommended. Nothing was changed."
    )
    assert message in profiles("use", "papr", fails=True)


def test_an_unknown_verb_is_refused_with_those_that_there_are(profiles):
    message = "Unknown verb ''; choose from use, check, moved, record"
    assert message in profiles(fails=True)


def test_a_profile_with_a_bad_setting_is_refused_without_a_traceback(clone, profiles):
    clone.replace("profiles/paper.yaml", "test_size:", "test_sise:")
    message = profiles("use", "paper", fails=True)
    assert message.startswith("2 setting(s) in profiles/paper.yaml must be corrected:")


def test_bad_settings_are_refused_before_anything_runs(clone, profiles):
    clone.edit(lambda params: params["sets"]["study"]["split"].update(test_sise=0.2))
    message = "sets.study.split.test_sise: unknown setting"
    assert message in profiles("use", "", fails=True)


# make check


def test_settings_that_can_be_run_pass_the_check(clone, profiles):
    passed = "The settings are valid, and the folders and files that they name can be read."
    assert passed in profiles("check")
    assert passed in profiles("check", "paper")
    clone.edit(lambda params: add_external_set(params, "data/source"))
    assert "No metadata in data/source or below" in profiles("check", fails=True)


FINE_TUNED = {
    "architecture": "efficientnet_lite", "version": 0, "inputs": "images.npy", "rows": "train",
    "weights": "none.npz", "weights_sha256": "0" * 64, "input_pixels": 32,
    "preprocessing": "unit", "pooling": "average", "trainable": "all", "dense_units": [],
    "dropout": 0.3, "learning_rate": 0.001, "batch_size": 32, "epochs": 1, "keep_epoch": "last",
}  # fmt: skip

IMPOSSIBLE = {
    "nothing but test images": (
        lambda p: p["sets"]["study"]["split"].update(test_size=1.0),
        "sets.study.split.test_size",
    ),
    "no training images": (
        lambda p: p["sets"]["study"]["split"].update(test_size=0.5, val_size=0.3, cal_size=0.2),
        "must be below 1",
    ),
    "no epochs": (lambda p: p["models"]["cnn"].update(epochs=0), "models.cnn.epochs"),
    "an unknown architecture": (
        lambda p: p["models"]["cnn"].update(architecture="cnnn"),
        "models.cnn.architecture: 'cnnn' is unknown",
    ),
    "weights that are missing": (
        lambda p: p["backbones"]["vgg16"].update(weights="none.h5", weights_sha256="0" * 64),
        "backbones.vgg16.weights: Weights file none.h5 does not exist; correct the path",
    ),
    "weights of a fine-tuned model that are missing": (
        lambda p: p["models"].update(fine_tuned=FINE_TUNED),
        "models.fine_tuned.weights: Weights file none.npz does not exist; correct the path",
    ),
    "too small for its backbone": (
        lambda p: p["backbones"]["vgg16"].update(input_pixels=31),
        "backbones.vgg16.input_pixels",
    ),
    "no neighbours": (lambda p: p["balance"].update(n_neighbors=0), "balance.n_neighbors"),
    "a folder that is missing": (
        take_photographs_from("nowhere"),
        "sets.study.source.path: nowhere is neither a folder nor a file",
    ),
    "a missing folder that nothing is read from": (
        set_path("nowhere"),
        "nowhere is neither a folder nor a file; DVC watches it whatever the kind of source",
    ),
    "an external set that is missing": (
        lambda p: add_external_set(p, "nowhere"),
        "sets.isic.source.path: nowhere is neither a folder nor a file",
    ),
    "a folder without DermaMNIST's arrays": (
        lambda p: p["sets"]["study"].update(source={"kind": "medmnist", "path": "data/source"}),
        "set sets.study.source.path to one, downloaded from medmnist.com",
    ),
    "a folder around the repository": (
        set_path(".."),
        "sets.study.source.path: .. overlaps with data/sets, which stages, DVC or Git write",
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_run_is_refused_by_the_check(clone, profiles, what):
    edit, message = IMPOSSIBLE[what]
    clone.edit(edit)
    assert message in profiles("check", fails=True)


def test_the_check_refuses_a_profile_whose_external_set_is_missing(clone, profiles):
    committed = read(clone)
    clone.replace(
        "profiles/paper.yaml",
        "\nexplore:",
        "\n  isic:\n    source: {kind: folder, path: nowhere, extra_images: refuse}\n"
        "    split: {by: none}\nexplore:",
    )
    message = "profiles/paper.yaml: sets.isic.source.path: nowhere is neither a folder nor a file"
    assert message in profiles("use", "paper", fails=True)
    assert read(clone) == committed


def test_more_neighbors_than_images_are_refused_before_anything_runs(clone, profiles, small_world):
    clone.edit(lambda params: params["balance"].update(n_neighbors=9))
    message = "balance.n_neighbors is 9, but akiec has only 9 images, test images included"
    assert message in profiles("check", fails=True)
    clone.edit(lambda params: params["balance"].update(n_neighbors=8))
    profiles("check")
    clone.edit(take_photographs_from(small_world))
    profiles("check")
    clone.edit(lambda params: params["balance"].update(n_neighbors=50))
    assert "balance.n_neighbors is 50, but" in profiles("check", fails=True)
    clone.edit(lambda params: params["balance"].update(method="random"))
    profiles("check")


def test_a_diagnosis_without_an_image_is_refused_before_anything_runs(clone, profiles, tmp_path):
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization", "L,I,nv,histo,50,male,back"]
    (tmp_path / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    clone.edit(take_photographs_from(tmp_path))
    assert "1 of 1 images in the metadata have no file, first I" in profiles("check", fails=True)
    (tmp_path / "I.jpg").touch()  # the check does not decode
    assert "No photograph of the study is akiec; remove it from classes.codes" in profiles(
        "check", fails=True
    )


def test_a_column_that_should_split_must_be_there(clone, profiles, tmp_path):
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    rows = [f"L{n},I{n},{dx},,,," for n, dx in enumerate(CODES * 7)]
    (tmp_path / "HAM10000_metadata.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    for row in rows:
        (tmp_path / f"{row.split(',')[1]}.jpg").touch()

    def split_by_column(params):
        params["sets"]["study"]["split"] = {"by": "column", "column": "part"}

    clone.edit(take_photographs_from(tmp_path))
    clone.edit(split_by_column)
    assert "the metadata have no column 'part'; they have lesion_id" in profiles(
        "check", fails=True
    )


def test_metadata_with_a_fault_are_refused_before_anything_runs(clone, profiles, tmp_path):
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization", "L,I,wart,histo,50,male,back"]
    (tmp_path / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    clone.edit(lambda params: add_external_set(params, str(tmp_path)))
    message = profiles("check", fails=True)
    assert (
        "has unknown diagnoses (1):\n  'wart': 1 image\nMap each to a code in sets.isic" in message
    )


NAMES = ("ISIC_1.png", "ISIC_1.BMP", "ISIC_1.tiff", "ISIC_1.jfif", "ISIC_1_downsampled.jpg")


def write_photograph(folder, name):
    suffix = ".jpg" if name.endswith(".jfif") else Path(name).suffix
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    (folder / name).write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())


@pytest.fixture
def source(tmp_path):
    """A table of one photograph, without the file, and its settings."""
    (tmp_path / "mine").mkdir()
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization", "L,ISIC_1,nv,histo,50,male,back"]
    (tmp_path / "mine/HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    path = str(tmp_path / "mine")
    return FolderSource(kind="folder", path=path, extra_images="refuse", exclude=["bkl"])


def look(source, codes=CODES):
    """Return what the check counts."""
    plan = check_data.plan_local(source, codes, name="study")
    return check_data.count_by_code(source, plan, codes, name="study")


def look_and_ingest(source, raw):
    """Return what the check and stage `ingest` say, which must be the same."""
    said = []
    settings = source.model_dump(exclude={"path"})
    for function in (
        lambda: look(source),
        lambda: ingest_set(raw, name="study", codes=CODES, path=Path(source.path), **settings),
    ):
        try:
            said.append(function())
        except ValueError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("archive", [False, True], ids=["file", "tar.gz"])
@pytest.mark.parametrize("name", NAMES)
def test_the_check_looks_as_ingest_will(source, tmp_path, name, archive):
    checked, ingested = look_and_ingest(source, tmp_path / "raw")
    assert checked == ingested
    assert checked.startswith("1 of 1 images in the metadata have no file, first ISIC_1; look in")
    folder = Path(source.path)
    write_photograph(folder, name)
    if archive:
        with tarfile.open(folder / "photographs.tar.gz", "w:gz") as packed:
            packed.add(folder / name, name)
        (folder / name).unlink()
    checked, ingested = look_and_ingest(source, tmp_path / "raw")
    assert checked == dict.fromkeys(CODES, 0) | {"nv": 1}
    assert ingested is None
    write_photograph(folder, "more.png")
    checked, ingested = look_and_ingest(source, tmp_path / "raw")
    assert checked == ingested
    assert checked.startswith("1 of 2 image files have no row in the metadata, first more.png;")


def test_dermamnist_with_a_diagnosis_that_no_class_has_is_refused_by_the_check(tmp_path):
    (tmp_path / "dermamnist.npz").touch()
    source = MedmnistSource(kind="medmnist", path=str(tmp_path))
    assert look(source) is None
    with pytest.raises(
        ValueError, match=r"DermaMNIST has unknown diagnoses \(1\):\n  'vasc': 1 im"
    ):
        look(source, CODES[:6])


def test_synthetic_photographs_are_counted_by_the_codes_they_are_mapped_to():
    codes = ["benign", "malignant"]
    mapped = dict.fromkeys(("bkl", "df", "nv"), "benign") | {"mel": "malignant"}
    source = SyntheticSource(
        kind="synthetic", path="data/source", n_images=100, seed=1, map=mapped, exclude=["vasc"]
    )
    counts = look(source, codes)
    assert list(counts) == codes
    assert sum(counts.values()) == 100
    unmapped = source.model_copy(update={"map": {}})
    with pytest.raises(ValueError, match=r"None of the synthetic .* sets\.study\.source\.map$"):
        look(unmapped, codes)


def test_weights_of_another_digest_are_refused_by_the_check(clone, profiles):
    (clone.folder / "a.npz").write_bytes(b"no weights")
    changed = FINE_TUNED | {"weights": "a.npz"}
    clone.edit(lambda params: params["models"].update(fine_tuned=changed))
    message = profiles("check", fails=True)
    assert "models.fine_tuned.weights: a.npz has the SHA-256 " in message


def change_settings(**changes):
    """Return the committed settings with changed values, such as models__cnn__patience=3."""
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = settings
        for parent in parents:
            section = section[parent]
        section[last] = value
    return parse_params(yaml.safe_dump(settings), source="params.yaml")


@pytest.fixture
def table():
    """Metadata with two images of each diagnosis, one of them a test image."""
    rows = [(dx, part) for part in ("train", "test") for dx in CODES]
    made = pd.DataFrame(rows, columns=["dx", "part"])
    made["image_id"] = made["lesion_id"] = [f"I{n}" for n in range(len(made))]
    return made.assign(age="50", sex="male", localization="back")


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluate__partition": "val"},
        {"models__cnn__patience": 3},
        {"calibrate__partition": "val"},
        {"ensembles": {"mean": {"models": ["cnn", "vgg16"], "weights": "validation"}}},
        {"exports": {"cnn": {"weights": "float16", "false_alarms": 0.02}}},
    ],
    ids=str,
)
def test_validation_images_of_a_column_are_looked_for(table, changes):
    check_data.refuse_missing_rows(table, change_settings(), column="part")
    with pytest.raises(ValueError, match=r"no row of 'part' is val, and validation images are ne"):
        check_data.refuse_missing_rows(table, change_settings(**changes), column="part")
    more = pd.concat([table, table.head(1).assign(part="val")])
    check_data.refuse_missing_rows(more, change_settings(**changes), column="part")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "Test"}, r"Column 'part' of the metadata must hold train, val, cal, test; 14"),
        ({"part": "train"}, r"Column 'part' of the metadata makes no image a test image"),
        ({"part": "test"}, r"No training image for akiec, bcc"),
    ],
)
def test_a_column_by_which_the_split_would_fail_is_refused(table, change, message):
    with pytest.raises(ValueError, match=message):
        check_data.refuse_missing_rows(table.assign(**change), change_settings(), column="part")
    with pytest.raises(ValueError, match="the metadata have no column 'fold'; they have dx, part"):
        check_data.refuse_missing_rows(table, change_settings(), column="fold")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ""}, "metadata names age, which no training image has; leave it out"),
        ({"age": np.nan}, "metadata names age, which no training image has; leave it out"),
        ({"age": "unknown"}, "metadata names age, which no training image has; leave it out"),
        ({"age": "old"}, "The column age of the metadata has a value that is not a number"),
        ({"sex": "F"}, "The column sex of the metadata has f; write female and male"),
    ],
    ids=str,
)
def test_metadata_that_a_model_cannot_read_are_refused(table, change, message):
    params = change_settings(models__cnn__metadata=["age", "sex"])
    check_data.refuse_missing_rows(table, params, column=None)
    with pytest.raises(ValueError, match=rf"models\.cnn\.metadata: .*{message}"):
        check_data.refuse_missing_rows(table.assign(**change), params, column=None)


def test_a_column_of_metadata_that_is_missing_is_refused(table):
    params = change_settings(models__cnn__metadata=["age"])
    with pytest.raises(ValueError, match=r"models\.cnn\.metadata: .* age, which no training image"):
        check_data.refuse_missing_rows(table.drop(columns="age"), params, column=None)


def test_what_a_known_source_does_not_have_is_refused_before_its_download():
    reads = change_settings(models__cnn__metadata=["age"])
    for kind, params, column in (
        ("synthetic", reads, None),
        ("dataverse", reads, "sex"),
        ("medmnist", change_settings(), "partition"),
        ("url", reads, "fold"),
    ):
        check_data.refuse_missing_columns(kind, params, column=column)
    with pytest.raises(ValueError, match=r"models\.cnn\.metadata: .* kind medmnist have no age"):
        check_data.refuse_missing_columns("medmnist", reads, column=None)
    with pytest.raises(ValueError, match=r"split\.column: .* dataverse have no column 'fold'"):
        check_data.refuse_missing_columns("dataverse", reads, column="fold")


def test_a_class_of_one_lesion_cannot_be_split_by_lesion(table):
    split = change_settings().sets["study"].split
    check_data.refuse_single_lesions(table, CODES, split)
    table["lesion_id"] = table["lesion_id"].where(table["dx"] != "mel", "L")
    with pytest.raises(ValueError, match=r"All photographs of mel are of one lesion, and with sp"):
        check_data.refuse_single_lesions(table, CODES, split)
    unsplit = {"test_size": 0.0, "val_size": 0.0, "cal_size": 0.0}
    for allowed in ({"by": "image"}, unsplit):
        check_data.refuse_single_lesions(table, CODES, split.model_copy(update=allowed))


def test_the_check_does_not_import_tensorflow(clone):
    program = (
        "import runpy, sys; sys.argv = ['profiles.py', 'check']; sys.path.insert(0, 'tools');"
        "runpy.run_path('tools/profiles.py', run_name='__main__');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    clone.run(sys.executable, "-c", program)


def test_the_check_knows_all_that_stages_write(clone):
    with Repo(str(clone.folder)) as repo:
        outputs = [Path(out.def_path) for out in repo.index.outs]
    for output in outputs:
        assert {str(path) for path in (output, *output.parents)} & {*check_data.WRITTEN}, output


@pytest.mark.parametrize(
    "folder",
    [
        ".",
        "/",
        "data",
        "data/source/../sets",
        "data/sets/study/raw",
        "link",
        "models/cnn.keras",
        ".git/annex",
        ".checkpoints",
    ],
)
def test_a_folder_that_a_run_would_change_is_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("data/sets")
    with pytest.raises(ValueError, match=f"^data.path: {folder} overlaps with [.a-z]"):
        check_data.refuse_outputs(folder, setting="data.path")
    for apart in ("data/source", "data/setsumei", "model", "elsewhere", "../elsewhere"):
        check_data.refuse_outputs(apart, setting="data.path")


def test_a_folder_without_masks_is_refused(tmp_path):
    folder = tmp_path / "masks"
    with pytest.raises(
        ValueError, match=r"sets\.study\.masks: .*masks has no file <image_id>_segm"
    ):
        check_data.refuse_missing_masks(str(folder), setting="sets.study.masks")
    folder.mkdir()
    (folder / "ISIC_1_segmentation.png").touch()
    check_data.refuse_missing_masks(str(folder), setting="sets.study.masks")


def bind(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.bind(path)


UNHASHABLE = {
    "a link to nothing": lambda folder: os.symlink("/nowhere/at/all", f"{folder}/x"),
    "a link to itself": lambda folder: os.symlink("x", f"{folder}/x"),
    "a link to a device": lambda folder: os.symlink("/dev/zero", f"{folder}/x"),
    "a named pipe": lambda folder: os.mkfifo(f"{folder}/x"),
    "a socket": lambda folder: bind(f"{folder}/x"),
    "a file name that is not UTF-8": lambda folder: Path(folder, "x\udcff").touch(),
    "a folder name that is not UTF-8": lambda folder: Path(folder, "x\udcff").mkdir(),
}


@pytest.mark.parametrize("make", UNHASHABLE.values(), ids=UNHASHABLE)
def test_what_dvc_cannot_hash_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    (tmp_path / "mine/below").mkdir(parents=True)
    (tmp_path / "mine/below/a.jpg").touch()
    make("mine/below")
    with pytest.raises(ValueError, match=r"^data\.path: DVC cannot hash 'mine/below/x"):
        check_data.refuse_unhashable("mine", setting="data.path")


def test_a_pipe_as_the_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is neither a folder nor a file"):
        check_data.refuse_unhashable(str(tmp_path / "pipe"), setting="data.path")


def test_what_dvc_hashes_or_skips_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    for folder in ("mine/.git", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        os.mkfifo(tmp_path / folder / "pipe")
    (tmp_path / "mine/a.jpg").symlink_to("../a.jpg")
    (tmp_path / "mine/Läsion.jpg").touch()
    (tmp_path / "mine/folder").symlink_to("../elsewhere")  # DVC does not look in there
    check_data.refuse_unhashable("mine", setting="data.path")
    monkeypatch.chdir("elsewhere")  # outside its repository DVC looks into everything
    with pytest.raises(ValueError, match="pipe"):
        check_data.refuse_unhashable(str(tmp_path / "mine"), setting="data.path")


# make record


@pytest.mark.parametrize("name", ["", "..", "/somewhere", "a b"])
def test_a_record_has_a_plain_name(profiles, name):
    assert "use letters, digits, - and _ only" in profiles("record", name, fails=True)


def test_outputs_of_other_settings_are_not_recorded(clone, profiles):
    message = "The outputs do not belong to params.yaml; run 'make repro' first"
    assert message in profiles("record", "mine", fails=True)
    assert not (clone.folder / "results/mine").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper-28px", "results/paper-28px records paper, and the profile in params.yaml is demo"),
        ("repeats", "results/repeats records something else, and"),
        ("by-image-or-group", "results/by-image-or-group records something else, and"),
    ],
)
def test_a_record_replaces_none_of_another_kind(clone, profiles, name, message):
    assert message in profiles("record", name, fails=True)
    assert clone.run("git", "status", "--porcelain", "results") == ""
