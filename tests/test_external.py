import json
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from lesions.demo import write_demo
from lesions.external import as_test_part, describe_external, refuse_same_files
from lesions.folder import find_images
from lesions.labels import encode_labels
from lesions.metadata import read_metadata
from lesions.taxonomy import METADATA

ROOT = Path(__file__).parents[1]
STAGE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["external"]["do"]


def table(*rows):
    return pd.DataFrame(rows, columns=["image_id", "lesion_id"])


STUDY = table(("ISIC_1", "HAM_1"), ("ISIC_2", "HAM_1"))


def test_all_of_an_external_set_is_to_test_on_and_lesions_are_its_groups():
    groups, partitions = as_test_part(table(("A", "L"), ("B", "L"), ("C", "M")), STUDY)
    assert groups.to_dict("list") == {"image_id": ["A", "B", "C"], "group": ["L", "L", "M"]}
    assert partitions.to_dict("list") == {"image_id": ["A", "B", "C"], "partition": ["test"] * 3}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("ISIC_2", "L"), "the image_id of an external photograph must .* 1 of 2 .*, first ISIC_2"),
        (("A", "HAM_1"), "the lesion_id of an external lesion must .* 1 of 2 .*, first HAM_1"),
    ],
)
def test_what_the_study_has_already_is_refused_and_names_are_said_to_be_compared(row, message):
    with pytest.raises(ValueError, match=message) as refused:
        as_test_part(table(("C", "M"), row), STUDY)
    assert "names are compared" in str(refused.value)


def test_files_of_the_study_under_other_names_are_refused_with_the_first_pair(tmp_path):
    contents = {"ISIC_1": b"one", "ISIC_2": b"two", "A": b"else", "B": b"two", "C": b"one"}
    files = {name: tmp_path / f"{name}.jpg" for name in contents}
    for name, path in files.items():
        path.write_bytes(contents[name])
    study = [files["ISIC_1"], files["ISIC_2"]]
    message = "2 of 3 have the same bytes as one of them, first B, which is the study's ISIC_2; "
    with pytest.raises(ValueError, match=message):
        refuse_same_files([files["A"], files["B"], files["C"]], study)
    refuse_same_files([files["A"]], study)


def test_an_external_photograph_is_counted_once_and_only_for_likeness_to_the_study():
    labels = pd.DataFrame({"image_id": list("ABCD"), "lesion_id": list("LLMN")})
    labels["dx"] = ["nv", "nv", "mel", "nv"]
    # Rows 0 and 1 are the study's, 2 to 5 are A to D. A is like both of the study's, B is like one
    # at the threshold; C falls short of it, D is like A alone, and the study's are like each other.
    pairs = pd.DataFrame(
        [(0, 2, 0.99), (1, 2, 0.98), (0, 1, 0.97), (1, 3, 0.95), (1, 4, 0.94), (2, 5, 0.99)],
        columns=["row", "other_row", "similarity"],
    )
    assert describe_external(labels, pairs, n_study=2, similarity=0.95) == {
        "n_images": 4,
        "n_lesions": 3,
        "n_classes": 2,
        "n_near_duplicates": 2,
    }


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Sixty other photographs, whose names are not the study's."""
    folder = tmp_path_factory.mktemp("elsewhere")
    metadata = write_demo(folder, n_images=60, seed=5)
    for photograph in folder.rglob("*.jpg"):
        photograph.rename(photograph.with_name(f"E{photograph.name}"))
    metadata[["image_id", "lesion_id"]] = "E" + metadata[["image_id", "lesion_id"]]
    metadata.to_csv(folder / METADATA, index=False)
    return folder


@pytest.fixture
def run_external(tmp_path, monkeypatch, small_world):
    """Run the stage in an empty folder, with the small world for the study, on `source`."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def run(source):
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        shutil.copytree(small_world, "data/raw")
        labels = encode_labels(read_metadata(Path("data/raw") / METADATA), find_images("data/raw"))
        labels.to_csv("data/labels.csv", index=False)
        command = STAGE["cmd"].replace("${key}", "there").replace("${item}", str(source))
        words = shlex.split(command)
        monkeypatch.setattr(sys, "argv", words[2:])
        runpy.run_path(str(ROOT / words[2]), run_name="__main__")
        return tmp_path

    return run


def add(source, path, image_id, content):
    """Add a photograph of a nevus, with a row of its own, to `source`."""
    metadata = pd.read_csv(source / METADATA, dtype=str, keep_default_na=False)
    row = metadata[metadata["dx"] == "nv"].iloc[[0]]
    row = row.assign(image_id=image_id, lesion_id=f"of_{image_id}")
    pd.concat([metadata, row]).to_csv(source / METADATA, index=False)
    (source / path.parent.name / f"{image_id}.jpg").write_bytes(content)


def test_the_stage_counts_near_duplicates_of_the_studys_photographs(
    run_external, elsewhere, small_world, tmp_path
):
    source = shutil.copytree(elsewhere, tmp_path / "source")
    photographs = sorted(small_world.rglob("*.jpg"))[:3]
    for path in photographs:  # turned, and compressed anew
        turned = cv2.rotate(cv2.imread(str(path)), cv2.ROTATE_180)
        content = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        add(source, path, f"again_{path.stem}", content)
    made = run_external(source)
    metadata = pd.read_csv(source / METADATA)
    assert json.loads((made / "metrics/external/there.json").read_text(encoding="utf-8")) == {
        "n_images": 63,
        "n_lesions": metadata["lesion_id"].nunique(),
        "n_classes": 7,
        "n_near_duplicates": 3,
    }
    assert len(np.load(made / "data/external/there/images.npy")) == 63


def test_the_stage_refuses_a_renamed_copy(run_external, elsewhere, small_world, tmp_path):
    source = shutil.copytree(elsewhere, tmp_path / "source")
    path = min(small_world.rglob("*.jpg"))
    add(source, path, "renamed", path.read_bytes())
    message = f"1 of 61 have the same bytes .* first renamed, which is the study's {path.stem}; "
    with pytest.raises(ValueError, match=message):
        run_external(source)


def test_the_stage_names_the_setting_of_the_set(run_external, elsewhere, tmp_path):
    source = shutil.copytree(elsewhere, tmp_path / "source")
    min(source.rglob("*.jpg")).unlink()
    with pytest.raises(ValueError, match=r"1 of 60 images .* look in data\.external\.there or"):
        run_external(source)
