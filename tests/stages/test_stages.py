"""The stages that need no TensorFlow, each by its own `main`, on photographs in a folder."""

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
from cloned import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


STAGES_BEFORE_TRAINING = (
    *("ingest", "explore", "encode", "resize", "embed", "audit", "split", "balance"),
)


@pytest.fixture
def run_until_balance(tmp_path, monkeypatch):
    """Run the stages up to `balance` in an empty folder, on `source`, with other settings."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def run(source, *, split=None, **changes):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        study = params["sets"]["study"]
        study["source"] = {"kind": "folder", "path": str(source), "extra_images": "refuse"}
        study["split"] = split or study["split"]
        params["audit"]["method"] = "pixels"  # TensorFlow's threads cannot be set twice
        for section, settings in changes.items():
            params[section].update(settings)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for stage in STAGES_BEFORE_TRAINING:
            command = STAGES[stage].get("do", STAGES[stage])["cmd"].replace("${key}", "study")
            words = shlex.split(command.replace("${item.source.path}", str(source)))
            monkeypatch.setattr(sys, "argv", words[2:])
            runpy.run_path(str(ROOT / words[2]), run_name="__main__")
        return tmp_path / "data/sets/study"

    return run


def test_a_folder_of_photographs_becomes_labels_images_partitions_and_mixing(
    small_world, run_until_balance
):
    made = run_until_balance(small_world, balance={"n_neighbors": 3}, resize={"decode": "full"})
    metadata = pd.read_csv(small_world / "HAM10000_metadata.csv")
    labels = pd.read_csv(made / "labels.csv")
    images = np.load(made / "images.npy")
    partitions = pd.read_csv(made / "partitions.csv")
    pd.testing.assert_frame_equal(labels[metadata.columns], metadata)
    assert images.shape == (len(metadata), 64, 64, 3)
    assert partitions["image_id"].tolist() == metadata["image_id"].tolist()
    # Row 4 of the array is the photograph of row 4 of the labels.
    bgr = cv2.imread(str(made / "raw" / labels["image_path"][4]))
    assert (images[4] == cv2.resize(bgr, (64, 64))[:, :, ::-1]).all()
    counts = pd.read_csv("plots/balance.csv").query("rows == 'train'").set_index("dx")["n_images"]
    trained = labels["dx"][partitions["partition"] == "train"]
    assert counts.to_dict() == trained.value_counts().to_dict()


def test_the_photographs_in_data_raw_are_hard_links_to_the_users_own(
    small_world, run_until_balance
):
    made = run_until_balance(small_world, balance={"method": "none"})
    for photograph in small_world.rglob("*.jpg"):
        linked = next((made / "raw").rglob(photograph.name))
        assert linked.samefile(photograph)


def test_a_square_crop_comes_before_resizing(small_world, run_until_balance):
    settings = {"pixels": 80, "crop": "square", "interpolation": "area", "decode": "full"}
    made = run_until_balance(small_world, resize=settings, balance={"method": "random"})
    labels = pd.read_csv(made / "labels.csv")
    bgr = cv2.imread(str(made / "raw" / labels["image_path"][0]))
    # 600 × 450: the central square leaves out (600 - 450) / 2 = 75 columns on either side.
    square = cv2.resize(bgr[:, 75:525], (80, 80), interpolation=cv2.INTER_AREA)
    assert (np.load(made / "images.npy")[0] == square[:, :, ::-1]).all()


def test_a_column_of_the_metadata_may_decide_the_split(small_world, run_until_balance, tmp_path):
    source = shutil.copytree(small_world, tmp_path / "source")
    metadata = pd.read_csv(source / "HAM10000_metadata.csv")
    words = ["train", "test", "train", "val", "train", "cal"]
    metadata["published"] = [words[row % 6] for row in range(len(metadata))]
    metadata.to_csv(source / "HAM10000_metadata.csv", index=False)
    made = run_until_balance(
        source, split={"by": "column", "column": "published"}, balance={"method": "random"}
    )
    partitions = pd.read_csv(made / "partitions.csv")
    assert partitions["partition"].tolist() == metadata["published"].tolist()


def test_seventy_original_photographs_go_through(run_until_balance, shared):
    made = run_until_balance(shared("ham10000_sample"))
    split = pd.read_csv("plots/partitions/study.csv").groupby("partition")
    # 70 lesions of one photograph each: a fifth is tested, a tenth validates, a tenth calibrates.
    assert split["n_images"].sum().to_dict() == {"train": 42, "val": 7, "cal": 7, "test": 14}
    shared_with_train = split[["n_images_of_train_lesions", "n_images_of_train_groups"]].sum()
    assert (shared_with_train == 0).all(axis=None)
    audit = json.loads((made / "audit/counts.json").read_text(encoding="utf-8"))
    assert audit["n_pairs_within_lesions"] == 0
    assert audit["sensitivity"] is None


@pytest.mark.parametrize("stage", ["augment", "balance", "features"])
def test_a_stage_reads_images_only_of_the_size_in_the_settings(stage):
    """`train` does so by `open_inputs`, `explain`, `predict` and `export` by `open_photographs`."""
    for name, body in STAGES.items():
        if any("/images.npy" in dep for dep in body.get("do", body)["deps"]):
            assert name in (
                *("augment", "balance", "explain", "export", "features", "train", "predict"),
            )
    text = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
    assert "open_images(paths.images, pixels=params.resize.pixels)" in text
    assert "np.load(paths.images" not in text


def test_a_stage_stops_at_images_of_another_size(small_world, run_until_balance):
    run_until_balance(small_world, balance={"method": "random"})
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["resize"]["pixels"] = 96
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"images of 64 × 64 × 3, but resize\.pixels is 96; delete"
    ):
        runpy.run_path(str(ROOT / "stages/balance.py"), run_name="__main__")
