"""The helpers of the Makefile, run in a clone."""

import sys

import pytest


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
    committed = params.read_text()
    profiles("use", "paper")
    assert params.read_text() == (clone.folder / "profiles/paper.yaml").read_text()
    profiles("use", "demo")
    assert params.read_text() == committed


def test_a_profile_without_its_data_changes_nothing(clone, profiles):
    (clone.folder / "data/source/HAM10000_metadata.csv").unlink()
    params = clone.folder / "params.yaml"
    committed = params.read_text()
    assert "says under 'The data' where to get it" in profiles("use", "paper", fails=True)
    assert params.read_text() == committed


def test_a_profile_never_overwrites_edits(clone, profiles):
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text() + "# mine\n")
    assert "has edits of yours" in profiles("use", "paper", fails=True)
    assert params.read_text().endswith("# mine\n")


def test_an_edited_profile_can_be_taken_again(clone, profiles):
    profile = clone.folder / "profiles/paper.yaml"
    profiles("use", "paper")
    profile.write_text(profile.read_text().replace("seed: 42", "seed: 43"))
    profiles("use", "paper")
    assert "seed: 43" in (clone.folder / "params.yaml").read_text()


def test_an_unknown_profile_is_refused_with_those_that_there_are(profiles):
    message = "PROFILE must be one of demo, dermamnist, dermamnist-c, ham10000, paper; found 'papr'"
    assert message in profiles("use", "papr", fails=True)


def test_bad_settings_are_refused_before_anything_runs(clone, profiles):
    clone.edit(lambda params: params["split"].update(test_sise=0.2))
    assert "split.test_sise: no such setting" in profiles("use", "", fails=True)


@pytest.mark.parametrize("name", ["", "..", "/somewhere", "a b"])
def test_a_record_has_a_plain_name(profiles, name):
    assert "NAME must be of letters" in profiles("record", name, fails=True)


def test_settings_that_did_not_give_the_metrics_are_not_recorded(clone, profiles):
    assert "must belong together" in profiles("record", "mine", fails=True)
    assert not (clone.folder / "results/mine").exists()
