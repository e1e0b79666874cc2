from argparse import Namespace

import pandas as pd
import pytest
from made_up_study import make_study, write_study

from lesions.report.inputs import read_inputs

MODELS = ("cnn", "vgg16")


@pytest.fixture(scope="module")
def study():
    return make_study(external=("elsewhere",))


@pytest.fixture
def paths(study, tmp_path):
    flags = write_study(tmp_path, study)
    return Namespace(**{name: tmp_path / file for name, file in flags.items()})


def test_everything_that_was_written_is_read(study, paths):
    # Sets in params.yaml are in alphabetical order; the study comes first here.
    found = read_inputs(paths, models=MODELS, ensembles=(), sets=("elsewhere", "study"))
    assert set(found) == set(study)
    assert list(found["details"]["cnn"]) == ["study", "elsewhere"]
    for name, value in study.items():
        if not isinstance(value, pd.DataFrame):
            assert found[name] == value, name
        else:
            assert list(found[name].columns) == list(value.columns), name
            assert len(found[name]) == len(value), name


def test_the_card_reads_no_pictures(paths):
    for name in ("balance", "contact_sheet", "mistakes"):
        delattr(paths, name)
    found = read_inputs(paths, models=MODELS, ensembles=(), sets=("study",))
    assert not {"balance", "contact_sheet", "mistakes", "near_duplicates", "roc"} & set(found)


@pytest.mark.parametrize(
    "file",
    ["evaluation/study/cnn/details.json", "plots/mistakes/cnn.png", "predictions/study/cnn.json"],
)
def test_a_missing_file_is_named(paths, tmp_path, file):
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=file):
        read_inputs(paths, models=MODELS, ensembles=(), sets=("study",))


def test_files_of_other_models_and_sets_are_ignored(paths):
    found = read_inputs(paths, models=("vgg16",), ensembles=(), sets=("study",))
    assert list(found["details"]) == ["vgg16"]
    assert list(found["details"]["vgg16"]) == ["study"]


def test_in_a_csv_only_empty_fields_are_missing_and_ids_are_text(paths):
    paths.cohort.write_text("column,value,n_images\nsex,NA,1\nsex,,2\n", encoding="utf-8")
    paths.labels.write_text("image_id,lesion_id\n007,01\n", encoding="utf-8")
    found = read_inputs(paths, models=MODELS, ensembles=(), sets=("study",))
    assert found["cohort"]["value"].fillna("empty").tolist() == ["NA", "empty"]
    assert found["labels"].to_numpy().tolist() == [["007", "01"]]
