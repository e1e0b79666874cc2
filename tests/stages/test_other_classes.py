"""Studies of two, three and eight classes, run by DVC from their source to report and card.

The photographs are the synthetic ones, under the names and tables of the ISIC challenges.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import Clone

from lesions.datasets.ham10000 import METADATA
from lesions.datasets.synthetic.dataset import write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder of 200 photographs of HAM10000's diagnoses, and their metadata."""
    folder = tmp_path_factory.mktemp("drawn")
    write_dataset(folder, n_images=200, seed=3)
    metadata = pd.read_csv(folder / METADATA)
    metadata["path"] = metadata["image_id"].map({file.stem: file for file in folder.rglob("*.jpg")})
    return metadata


def copy_photographs(table, folder, suffix=".jpg"):
    folder.mkdir(parents=True)
    for image_id, path in table[["image_id", "path"]].to_numpy():
        shutil.copy(path, folder / f"{image_id}{suffix}")


def write_2017(metadata, folder):
    """The three classes of 2017: one column each for two of them, the rest are naevi."""
    table = metadata[metadata["dx"].isin(["mel", "nv", "bkl"])]
    copy_photographs(table, folder / "ISIC-2017_Training_Data")
    pd.DataFrame(
        {
            "image_id": table["image_id"],
            "melanoma": (table["dx"] == "mel").astype(float),
            "seborrheic_keratosis": (table["dx"] == "bkl").astype(float),
        }
    ).to_csv(folder / "ISIC-2017_Training_Part3_GroundTruth.csv", index=False)


def write_2019(metadata, folder):
    """Eight classes, one-hot, with some photographs of unknown class and ages as floats."""
    rng = np.random.default_rng(4)
    dx = metadata["dx"].replace({"akiec": "ak"})
    is_scc = (dx == "ak") & (rng.random(len(dx)) < 0.5)
    dx = dx.where(~is_scc, "scc").where(rng.random(len(dx)) < 0.97, "unk")
    copy_photographs(metadata, folder / "ISIC_2019_Training_Input")
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    truth = {name: (dx == name.lower()).astype(float) for name in classes}
    truth = pd.DataFrame({"image": metadata["image_id"], **truth})
    truth.to_csv(folder / "ISIC_2019_Training_GroundTruth.csv", index=False)
    pd.DataFrame(
        {
            "image": metadata["image_id"],
            "age_approx": metadata["age"],
            "anatom_site_general": metadata["localization"].replace("unknown", ""),
            "lesion_id": metadata["image_id"].where(rng.random(len(dx)) < 0.9, ""),
            "sex": metadata["sex"].replace("unknown", ""),
        }
    ).to_csv(folder / "ISIC_2019_Training_Metadata.csv", index=False)
    return dx


def run_study(folder, profile, source):
    """Run a small study with the classes of a profile; return the clone."""

    def change(params):
        file = clone.folder / f"profiles/{profile}.yaml"
        own = yaml.safe_load(file.read_text(encoding="utf-8"))
        params["profile"], params["classes"] = profile, own["classes"]
        known = own["sets"]["study"]["source"]
        kept = {key: known[key] for key in ("map", "exclude", "layout") if key in known}
        params["sets"] = {"study": params["sets"]["study"] | {"source": source | kept}}
        params["balance"] = {"method": "random", "n_neighbors": 5}
        params["evaluate"]["n_resamples"] = 100
        params["backbones"] = {}
        params["models"] = {"cnn": params["models"]["cnn"] | {"epochs": 2}}
        params["models"]["cnn"].update(filters=[4, 4], dense_units=[8])

    clone = Clone(folder)
    outputs = ("dvc.lock", "metrics", "plots", "predictions", "evaluation", "MODEL_CARD.md")
    clone.run("git", "rm", "-rq", "--ignore-unmatch", *outputs)
    clone.edit(change)
    clone.commit(profile)
    clone.repro()
    return clone


def read(clone, name):
    return (clone.folder / name).read_text(encoding="utf-8")


def assert_written_for(clone, codes, *, words):
    """The tables have the codes, report and card the number of classes and no other code."""
    predictions = pd.read_csv(clone.folder / "predictions/study/cnn.csv")
    assert [name for name in predictions if name.startswith("p_")] == [f"p_{dx}" for dx in codes]
    confusion = pd.read_csv(clone.folder / "plots/comparison/confusion.csv")
    assert confusion["dx"].unique().tolist() == codes
    report, card = read(clone, "plots/report.html"), read(clone, "MODEL_CARD.md")
    assert f"One model, {words} diagnoses, " in report
    assert f"# Model card: {words} diagnoses" in card
    others = {"akiec", "vasc", "melanocytic"} - set(codes)
    page = report.partition("<body")[2].partition("Provenance</h2>")[0]
    for code in others - {word for name in words_of_names(clone) for word in name.split()}:
        assert f">{code}<" not in page
        assert f"| {code} |" not in card
    return json.loads(read(clone, "evaluation/study/cnn/details.json"))


def words_of_names(clone):
    return yaml.safe_load(read(clone, "params.yaml"))["classes"]["names"].values()


def test_two_classes_from_a_map(tmp_path):
    source = {"kind": "synthetic", "path": "data/source", "n_images": 240, "seed": 3}
    clone = run_study(tmp_path / "clone", "melanoma", source)
    details = assert_written_for(clone, ["melanoma", "other"], words="two")
    labels = pd.read_csv(clone.folder / "data/sets/study/labels.csv")
    assert set(labels["diagnosis"]) == {"akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"}
    assert ((labels["diagnosis"] == "mel") == (labels["label"] == 0)).all()
    assert list(details["screening"]) == ["melanoma"]
    assert 0 <= details["screening"]["melanoma"]["partial_auc"]["value"] <= 0.2
    assert not (clone.folder / "evaluation/study/cnn/isic_submission.csv").exists()
    assert set(details["conformal"]["marginal"]["classes"]) == {"melanoma", "other"}


def test_three_classes_of_isic_2017(tmp_path, drawn):
    write_2017(drawn, tmp_path / "source")
    path = str(tmp_path / "source")
    source = {"kind": "folder", "path": path, "extra_images": "refuse"}
    clone = run_study(tmp_path / "clone", "isic2017", source)
    details = assert_written_for(clone, ["mel", "nv", "sk"], words="three")
    assert details["bootstrap"]["unit"] == "image"
    unknown = "The metadata have no lesion ids"
    for name in ("plots/comparison/comparison.md", "plots/report.html", "MODEL_CARD.md"):
        assert unknown in read(clone, name)
    # Another name for a class runs no training.
    clone.edit(lambda params: params["classes"]["names"].update(sk="seborrhoeic keratosis"))
    ran = clone.repro()
    assert {"explore", "report", "card"} <= set(ran)
    assert not [stage for stage in ran if stage.startswith(("encode", "train", "predict"))]
    assert "seborrhoeic keratosis" in read(clone, "MODEL_CARD.md")


def test_eight_classes_of_isic_2019(tmp_path, drawn):
    dx = write_2019(drawn, tmp_path / "source")
    source = {"kind": "folder", "path": str(tmp_path / "source"), "extra_images": "refuse"}
    clone = run_study(tmp_path / "clone", "isic2019", source)
    codes = ["ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc"]
    details = assert_written_for(clone, codes, words="eight")
    assert details["excluded"] == {"unk": int((dx == "unk").sum())}
    for name in ("plots/report.html", "MODEL_CARD.md"):
        assert f"unk ({details['excluded']['unk']}" in read(clone, name)
    submission = pd.read_csv(clone.folder / "evaluation/study/cnn/isic_submission.csv")
    columns = ["image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    assert submission.columns.tolist() == columns
    # The map of a set that is only tested on may leave classes out.
    labels = pd.read_csv(clone.folder / "data/sets/study/labels.csv")
    assert labels["label"].max() == 7
    assert "unk" not in set(labels["dx"])
