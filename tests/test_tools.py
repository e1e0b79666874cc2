"""The helpers of the Makefile, run in a clone."""

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import data_checks


@pytest.fixture
def profiles(clone, monkeypatch):
    """Run `tools/profiles.py` in the clone, which is cleaned afterwards."""

    def run(*words, fails=False):
        return clone.run(sys.executable, "tools/profiles.py", *words, fails=fails)

    (clone.folder / "data/source/HAM10000_metadata.csv").touch()
    yield run
    clone.run("git", "checkout", "--quiet", ".")


def test_a_profile_becomes_the_settings_and_the_demonstration_comes_back(clone, profiles):
    params = clone.folder / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    profiles("use", "paper")
    assert params.read_text(encoding="utf-8") == (clone.folder / "profiles/paper.yaml").read_text(
        encoding="utf-8"
    )
    profiles("use", "demo")
    assert params.read_text(encoding="utf-8") == committed


def test_a_profile_without_its_data_changes_nothing(clone, profiles):
    (clone.folder / "data/source/HAM10000_metadata.csv").unlink()
    params = clone.folder / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    assert "says under 'The data' where to get it" in profiles("use", "dermamnist", fails=True)
    assert params.read_text(encoding="utf-8") == committed


def test_a_profile_never_overwrites_edits(clone, profiles):
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert "has edits of yours" in profiles("use", "paper", fails=True)
    assert params.read_text(encoding="utf-8").endswith("# mine\n")


def test_an_edited_profile_can_be_taken_again(clone, profiles):
    profile = clone.folder / "profiles/paper.yaml"
    profiles("use", "paper")
    profile.write_text(
        profile.read_text(encoding="utf-8").replace("seed: 42", "seed: 43"), encoding="utf-8"
    )
    profiles("use", "paper")
    assert "seed: 43" in (clone.folder / "params.yaml").read_text(encoding="utf-8")


def test_an_unknown_profile_is_refused_with_those_that_there_are(profiles):
    message = "PROFILE must be one of demo, dermamnist, dermamnist-c, ham10000, paper; found 'papr'"
    assert message in profiles("use", "papr", fails=True)


def test_without_a_verb_those_that_there_are_are_told(profiles):
    assert "the verb must be use, check, moved or record; found ''" in profiles(fails=True)


def test_bad_settings_are_refused_before_anything_runs(clone, profiles):
    clone.edit(lambda params: params["split"].update(test_sise=0.2))
    assert "split.test_sise: no such setting" in profiles("use", "", fails=True)


def without_its_folder(params):
    params["data"]["external"] = {"isic": "nowhere"}


def told(place):
    return (
        "data.external.isic must be a folder; nowhere is not there; look in data.external.isic or "
        "run 'dvc pull'.\nREADME.md says under 'Photographs from elsewhere' what must lie there; "
        f"if it lies elsewhere, set data.external.isic in {place}. Nothing was changed."
    )


def test_an_external_set_that_is_not_there_stops_the_current_settings(clone, profiles):
    clone.edit(without_its_folder)  # of the demonstration: nothing else is read from a folder
    assert told("params.yaml") in profiles("use", "", fails=True)


def test_an_external_set_that_is_not_there_stops_a_profile_and_changes_nothing(clone, profiles):
    params, profile = clone.folder / "params.yaml", clone.folder / "profiles/paper.yaml"
    committed = params.read_text(encoding="utf-8")
    profile.write_text(
        profile.read_text(encoding="utf-8").replace("external: {}", "external: {isic: nowhere}"),
        encoding="utf-8",
    )
    assert told("profiles/paper.yaml") in profiles("use", "paper", fails=True)
    assert params.read_text(encoding="utf-8") == committed


def test_an_external_set_that_is_not_there_stops_the_demonstration(clone, profiles):
    clone.edit(without_its_folder)
    clone.commit("with an external set")
    try:
        shutil.copy(clone.folder / "profiles/paper.yaml", clone.folder / "params.yaml")
        assert told("params.yaml as committed") in profiles("use", "demo", fails=True)
        paper = (clone.folder / "profiles/paper.yaml").read_text(encoding="utf-8")
        assert (clone.folder / "params.yaml").read_text(encoding="utf-8") == paper
    finally:
        clone.run("git", "reset", "--quiet", "--hard", "HEAD~1")


def test_current_settings_on_a_folder_that_is_not_there_are_stopped_as_well(clone, profiles):
    clone.edit(lambda params: params["data"].update(source="folder", path="nowhere"))
    assert "set data.path in params.yaml. Nothing was" in profiles("use", "", fails=True)


def test_more_neighbors_than_images_are_told_before_anything_runs(clone, profiles, small_world):
    clone.edit(lambda params: params["balance"].update(n_neighbors=9))
    assert "it is 9, and akiec has 9 images, those to test on" in profiles("check", fails=True)
    clone.edit(lambda params: params["balance"].update(n_neighbors=8))
    profiles("check")
    folder = str(small_world)
    clone.edit(lambda params: params["data"].update(source="folder", path=folder))
    profiles("check")
    clone.edit(lambda params: params["balance"].update(n_neighbors=50))
    assert "balance.n_neighbors must be below the number" in profiles("check", fails=True)
    clone.edit(lambda params: params["balance"].update(method="random"))
    profiles("check")


def test_a_diagnosis_without_an_image_is_told_before_anything_runs(clone, profiles, tmp_path):
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization", "L,I,nv,histo,50,male,back"]
    (tmp_path / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    clone.edit(lambda params: params["data"].update(source="folder", path=str(tmp_path)))
    assert "akiec has 0 images" in profiles("check", fails=True)


@pytest.mark.parametrize("source", ["demo", "dataverse"])
def test_a_data_path_that_is_not_there_is_told_though_nothing_is_read_from_it(
    clone, profiles, source
):
    clone.edit(lambda params: params["data"].update(source=source, path="nowhere"))
    said = profiles("check", fails=True)
    assert said == (
        "data.path must be a folder or a file, for DVC watches it whatever data.source is; nowhere "
        "is not there; set data.path in params.yaml, to data/source for one. Nothing was changed.\n"
    )


def test_a_data_path_that_holds_the_repository_is_told_before_dvc_hashes_it(clone, profiles):
    clone.edit(lambda params: params["data"].update(path=".."))
    said = profiles("check", fails=True)
    assert said == (
        "data.path must lie apart from what stages, DVC and Git write; .. holds "
        f"{clone.folder.resolve()}/.dvc; set data.path in params.yaml to a folder of its own, as "
        "data/source is. Nothing was changed.\n"
    )


def test_a_pipe_among_external_photographs_is_told_before_dvc_waits_for_it(clone, profiles):
    os.mkfifo(clone.folder / "data/source/a.jpg")
    clone.edit(lambda params: params["data"].update(path="src", external={"isic": "data/source"}))
    said = profiles("check", fails=True)
    (clone.folder / "data/source/a.jpg").unlink()
    assert said == (
        "every file in data.external.isic must be one that DVC can hash; 1 in data/source are not, "
        "first data/source/a.jpg, a named pipe; rename, move or delete such files. Nothing was "
        "changed.\n"
    )


def test_all_that_dvc_knows_as_written_by_stages_is_known_to_the_check(clone, monkeypatch):
    clone.edit(lambda params: params["data"].update(external={"isic": "data/source"}))
    monkeypatch.chdir(clone.folder)
    outputs = set(data_checks.list_outputs(["cnn", "vgg16", "isic"]))
    known = {out.def_path for out in Repo(str(clone.folder)).index.outs}
    clone.run("git", "checkout", "--quiet", ".")
    assert "metrics/evaluation/vgg16_on_isic.json" in known
    assert known <= outputs


@pytest.mark.parametrize(
    ("folder", "how"),
    [
        (".", "holds"),
        ("data", "holds"),
        ("/", "holds"),
        ("data/source/../raw", "is"),
        ("link", "is"),
        ("data/raw/HAM10000_images_part_1", "lies in"),
        ("data/features/cnn", "is"),
        ("models", "holds"),
        (".git/annex", "lies in"),
    ],
)
def test_a_folder_that_a_run_would_change_is_refused(tmp_path, monkeypatch, folder, how):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("data/raw")
    written = ("data/raw", "data/labels.csv", "data/features/cnn", "models/cnn.keras", ".git")
    outputs = [str(tmp_path / path) for path in written]
    message = f"^data.path must lie apart from what stages, DVC and Git write; {folder} {how} /"
    with pytest.raises(ValueError, match=message):
        data_checks.refuse_overlap(folder, outputs, setting="data.path", place="p.yaml")
    for apart in ("data/source", "data/features/mine", "models/mine", "elsewhere", "../elsewhere"):
        data_checks.refuse_overlap(apart, outputs, setting="data.path", place="p.yaml")


def bind(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.bind(path)


NOT_HASHED = {
    "a link to nothing": lambda folder: os.symlink("/nowhere/at/all", f"{folder}/x"),
    "a link to itself": lambda folder: os.symlink("x", f"{folder}/x"),
    "a link to a device": lambda folder: os.symlink("/dev/zero", f"{folder}/x"),
    "a named pipe": lambda folder: os.mkfifo(f"{folder}/x"),
    "a socket": lambda folder: bind(f"{folder}/x"),
    "a name that is not UTF-8": lambda folder: Path(folder, "x\udcff").touch(),
}


@pytest.mark.parametrize("make", NOT_HASHED.values(), ids=NOT_HASHED)
def test_what_dvc_cannot_hash_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    deep = tmp_path / "mine/below"
    deep.mkdir(parents=True)
    (deep / "a.jpg").touch()
    make("mine/below")
    message = (
        "^every file in data.path must be one that DVC can hash; 1 in mine are not, first mine/"
    )
    with pytest.raises(ValueError, match=message):
        data_checks.refuse_not_hashed("mine", setting="data.path")


def test_what_dvc_hashes_or_passes_over_is_let_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    for folder in ("mine/.git", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        os.mkfifo(tmp_path / folder / "pipe")
    (tmp_path / "mine/a.jpg").symlink_to("../a.jpg")
    (tmp_path / "mine/Läsion.jpg").touch()
    (tmp_path / "mine/folder").symlink_to("../elsewhere")  # DVC does not look in there
    data_checks.refuse_not_hashed("mine", setting="data.path")
    monkeypatch.chdir("elsewhere")  # outside its repository DVC looks into everything
    with pytest.raises(ValueError, match="a named pipe"):
        data_checks.refuse_not_hashed(str(tmp_path / "mine"), setting="data.path")


def test_an_external_set_that_is_there_passes(clone, profiles):
    clone.edit(lambda params: params["data"].update(external={"isic": "data/source"}))
    assert profiles("use", "") == ""


def test_bad_settings_of_a_profile_are_told_without_a_traceback(clone, profiles):
    profile = clone.folder / "profiles/paper.yaml"
    profile.write_text(
        profile.read_text(encoding="utf-8").replace("test_size:", "test_sise:"), encoding="utf-8"
    )
    message = profiles("use", "paper", fails=True)
    assert message.startswith("2 setting(s) in profiles/paper.yaml must change:")


@pytest.mark.parametrize("name", ["", "..", "/somewhere", "a b"])
def test_a_record_has_a_plain_name(profiles, name):
    assert "NAME must be of letters" in profiles("record", name, fails=True)


def test_settings_that_did_not_give_the_metrics_are_not_recorded(clone, profiles):
    assert "must belong together" in profiles("record", "mine", fails=True)
    assert not (clone.folder / "results/mine").exists()


IMPOSSIBLE = {
    "split.test_size": (lambda p: p["split"].update(test_size=1.0), "split.test_size"),
    "nothing to train on": (
        lambda p: p["split"].update(test_size=0.5, val_size=0.3, cal_size=0.2),
        "must stay below 1",
    ),
    "no epochs": (lambda p: p["models"]["cnn"].update(epochs=0), "models.cnn.epochs"),
    "an unknown architecture": (
        lambda p: p["models"]["vgg16"].update(architecture="vgg61"),
        "must have a file src/lesions/networks/vgg61.py",
    ),
    "weights that are not there": (
        lambda p: p["models"]["vgg16"]["backbone"].update(weights="none.h5"),
        "models.vgg16.backbone.weights must be imagenet, random or a file that is there",
    ),
    "too small for its backbone": (
        lambda p: p["models"]["vgg16"].update(input_size=31),
        "input_size must be at least 32 px for a backbone",
    ),
    "no neighbours": (lambda p: p["balance"].update(n_neighbors=0), "balance.n_neighbors"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_run_is_refused_by_the_check(clone, profiles, what):
    edit, message = IMPOSSIBLE[what]
    clone.edit(edit)
    assert message in profiles("check", fails=True)


def test_the_check_passes_what_can_be_run(profiles):
    assert "can be run, and the data that they name are there." in profiles("check")
    assert "can be run, and the data that they name will be downloaded" in profiles(
        "check", "paper"
    )


def test_the_check_starts_no_tensorflow(clone):
    program = (
        "import runpy, sys; sys.argv = ['profiles.py', 'check']; sys.path.insert(0, 'tools');"
        "runpy.run_path('tools/profiles.py', run_name='__main__');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    clone.run(sys.executable, "-c", program)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper", "record of this profile, demo; results/paper is of paper; choose another name"),
        ("repeats", "results/repeats is for other things"),
        ("by-image-or-group", "results/by-image-or-group is for other things"),
    ],
)
def test_a_record_replaces_none_of_another_kind(profiles, name, message):
    assert message in profiles("record", name, fails=True)
