import io
import tarfile
import zipfile

import pytest


def test_folders_name_diagnoses_and_partitions(write, ingest, capsys):
    write("train/mel/a.jpg", "train/nv/b.png", "Validation/mel/c.jpg", "test/NV/d.bmp")
    table, images, _ = ingest()
    assert "auto took folders" in capsys.readouterr().out
    assert table["dx"].to_dict() == {"a": "mel", "b": "nv", "c": "mel", "d": "nv"}
    assert table["partition"].to_dict() == {"a": "train", "b": "train", "c": "val", "d": "test"}
    assert table["lesion_id"].tolist() == list(table.index)
    assert images["d"] == "images/d.bmp"
    assert table.loc["d", "diagnosis"] == "NV"


def test_without_an_outer_folder_there_is_no_partition(write, ingest):
    write("photos/mel/a.jpg", "photos/nv/b.jpg", "photos/nv/a_mask.png")
    table, _, _ = ingest()
    assert table["dx"].to_dict() == {"a": "mel", "b": "nv"}
    assert "partition" not in table


def test_names_that_repeat_become_whole_paths(write, ingest):
    write("train/mel/1.jpg", "train/nv/1.jpg", "test/mel/2.jpg")
    table, images, _ = ingest()
    assert sorted(table.index) == ["2", "train_mel_1", "train_nv_1"]
    assert table.loc["train_nv_1", "dx"] == "nv"
    assert images["train_mel_1"] == "images/train_mel_1.jpg"


def pack(path, names, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_folders_within_an_archive_count_as_well(write, ingest, source, suffix):
    write("mel/a.jpg")
    content = (source / "mel/a.jpg").read_bytes()
    pack(source / f"all{suffix}", ["data/train/nv/b.jpg", "data/test/mel/c.jpg"], content)
    pack(source / f"bcc{suffix}", ["d.jpg"], content)
    table, images, _ = ingest()
    assert table["dx"].to_dict() == {"a": "mel", "b": "nv", "c": "mel", "d": "bcc"}
    assert table["partition"].to_dict() == {"a": "", "b": "train", "c": "test", "d": ""}
    assert images["b"] == "images/b.jpg"


def test_an_unknown_folder_is_listed_and_can_be_left_out(write, ingest):
    write("melanoma/a.jpg", "nv/b.jpg", "nv/c.jpg", "trash/d.jpg", "trash/e.jpg")
    with pytest.raises(ValueError, match=r"unknown diagnoses \(2\)") as refused:
        ingest()
    assert "'trash': 2 images" in str(refused.value)
    assert "'melanoma': 1 image; the nearest code is mel" in str(refused.value)
    table, _, excluded = ingest(map={"melanoma": "mel"}, exclude=["trash"])
    assert table["dx"].to_dict() == {"a": "mel", "b": "nv", "c": "nv"}
    assert excluded == ["trash,2"]


def test_leaving_out_everything_is_refused(write, ingest):
    write("trash/a.jpg")
    with pytest.raises(ValueError, match=r"All 1 images of .* by sets\.study\.source\.exclude"):
        ingest(layout="folders", exclude=["trash"])


def test_images_in_no_folder_are_refused(write, ingest):
    write("a.jpg", "nv/b.jpg")
    message = r"1 of 2 images in .* are not in a folder named after their diagnosis, first a\.jpg;"
    with pytest.raises(ValueError, match=message):
        ingest()


def test_an_empty_folder_is_refused(ingest):
    with pytest.raises(ValueError, match=r"contains no images; sort images .*sets\.study"):
        ingest(layout="folders")


def test_codes_in_upper_case_are_recognised(write, ingest):
    write("mel/a.jpg", "nv/b.jpg")
    table, _, _ = ingest(codes=["MEL", "NV"])
    assert table["dx"].to_dict() == {"a": "MEL", "b": "NV"}
