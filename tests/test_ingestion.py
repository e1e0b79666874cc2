import errno
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lesions.folder import find_images
from lesions.ingestion import find_metadata, ingest_folder
from lesions.labels import encode_labels
from lesions.metadata import read_metadata
from lesions.taxonomy import CODES, COLUMNS, METADATA, PARTS

SHARED = Path(os.environ.get("LESIONS_SHARED", Path(__file__).parents[1] / ".." / "shared"))
IDS = [f"ISIC_{n}" for n in range(1, 8)]
PART_1, PART_2 = PARTS


def jpeg(seed=0, *, size=24, suffix=".jpg", options=()):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def write_metadata(path, *, separator=","):
    rows = [
        (f"HAM_{image_id[5:]}", image_id, dx, "histo", "80.0", "male", "scalp")
        for image_id, dx in zip(IDS, CODES, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(separator.join(row) + "\n" for row in (COLUMNS, *rows)), encoding="utf-8"
    )


def write_images(place, ids, *, suffix=".jpg"):
    place.mkdir(parents=True, exist_ok=True)
    for image_id in ids:
        (place / f"{image_id}{suffix}").write_bytes(jpeg(int(image_id[5:])))


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def contents(ids):
    return {f"{image_id}.jpg": jpeg(int(image_id[5:])) for image_id in ids}


def snapshot(place):
    return {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(place.rglob("*"))
    }


@pytest.fixture
def source(tmp_path):
    """HAM10000's own layout: three images in part 1, four in part 2."""
    place = tmp_path / "mine"
    write_metadata(place / METADATA)
    write_images(place / PART_1, IDS[:3])
    write_images(place / PART_2, IDS[3:])
    return place


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "data" / "raw"


def assert_raw_is_whole(raw, *, part_2):
    expected = {
        image_id: f"{PART_2 if image_id in part_2 else PART_1}/{image_id}.jpg" for image_id in IDS
    }
    assert find_images(raw) == expected
    for image_id, path in expected.items():
        assert (raw / path).read_bytes() == jpeg(int(image_id[5:]))
    labels = encode_labels(read_metadata(raw / METADATA), find_images(raw))
    assert labels["label"].tolist() == list(range(7))
    assert sorted(path.name for path in raw.iterdir()) == sorted([METADATA, *PARTS])


# Layouts


def test_folders_are_brought_over_without_touching_the_users_own(source, raw):
    before = snapshot(source)
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    assert (raw / METADATA).read_bytes() == (source / METADATA).read_bytes()
    shutil.rmtree(raw)
    assert snapshot(source) == before


def test_images_are_hard_links_and_the_metadata_is_a_copy(source, raw):
    ingest_folder(source, raw)
    name = f"{PART_1}/ISIC_1.jpg"
    assert os.stat(raw / name).st_ino == os.stat(source / name).st_ino
    assert os.stat(raw / METADATA).st_ino != os.stat(source / METADATA).st_ino


def test_a_folder_that_may_only_be_read_is_enough(source, raw):
    for path in source.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        ingest_folder(source, raw)
        assert_raw_is_whole(raw, part_2=IDS[3:])
        assert os.stat(source / PART_1 / "ISIC_1.jpg").st_mode & 0o777 == 0o444
        ingest_folder(source, raw)  # what was brought over can be emptied again
    finally:
        for path in [path for path in source.rglob("*") if path.is_dir()]:
            path.chmod(0o755)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_images_are_copied_where_they_cannot_be_linked(source, raw, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    name = f"{PART_1}/ISIC_1.jpg"
    assert os.stat(raw / name).st_ino != os.stat(source / name).st_ino


def test_a_full_disk_is_not_taken_for_a_missing_link(source, raw, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        ingest_folder(source, raw)


def test_symbolic_links_are_followed_to_the_files(source, raw, tmp_path):
    shutil.move(source / PART_1, tmp_path / "elsewhere")
    (source / PART_1).symlink_to(tmp_path / "elsewhere")
    target = tmp_path / "object"
    shutil.move(source / PART_2 / "ISIC_7.jpg", target)
    (source / PART_2 / "ISIC_7.jpg").symlink_to(target)
    (source / "again").symlink_to(source)  # a loop
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    assert not (raw / PART_2 / "ISIC_7.jpg").is_symlink()


def test_archives_are_unpacked(source, raw):
    write_zip(source / f"{PART_1}.zip", contents(IDS[:3]))
    write_zip(source / f"{PART_2.lower()}.ZIP", contents(IDS[3:]))
    for part in PARTS:
        shutil.rmtree(source / part)
    before = snapshot(source)
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    assert snapshot(source) == before


def test_folders_within_an_archive_name_the_part(source, raw):
    for part in PARTS:
        shutil.rmtree(source / part)
    members = {f"{PART_1}/{name}": content for name, content in contents(IDS[:3]).items()}
    members |= {f"x\\{PART_2}\\{name}": content for name, content in contents(IDS[3:]).items()}
    write_zip(source / "archive.zip", members)
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])


def test_a_folder_and_an_archive_go_together(source, raw):
    write_zip(source / "deep" / "down" / f"{PART_2}.zip", contents(IDS[3:]))
    shutil.rmtree(source / PART_2)
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])


def test_nothing_is_unpacked_outside_the_folder(source, raw, tmp_path):
    shutil.rmtree(source / PART_2)
    members = {f"../../../{IDS[3]}.jpg": jpeg(4), f"/{IDS[4]}.jpg": jpeg(5)}
    write_zip(source / "odd.zip", members | contents(IDS[5:]))
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=[])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "data"}


def test_capital_and_long_suffixes_become_jpg(source, raw):
    for part, suffix in zip(PARTS, [".JPG", ".jpeg"], strict=True):
        for path in (source / part).iterdir():
            path.rename(path.with_suffix(suffix))
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])


def test_files_may_lie_anywhere_below(raw, tmp_path):
    source = tmp_path / "mine"
    write_metadata(source / "a" / "b" / METADATA.lower())
    write_images(source, IDS[:1])
    write_images(source / "photos" / "c" / "d", IDS[1:4])
    write_images(source / "ham10000_images_part_2" / "e", IDS[4:])
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[4:])


@pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata", METADATA])
def test_tabs_become_commas_whatever_the_files_name(source, raw, name):
    expected = (source / METADATA).read_bytes()
    (source / METADATA).unlink()
    write_metadata(source / name, separator="\t")
    ingest_folder(source, raw)
    assert (raw / METADATA).read_bytes() == expected


def test_metadata_with_commas_is_copied_byte_for_byte_whatever_its_name(source, raw):
    content = b"\xef\xbb\xbf" + (source / METADATA).read_bytes().replace(b"\n", b"\r\n")
    (source / METADATA).unlink()
    (source / "HAM10000_metadata").write_bytes(content)
    ingest_folder(source, raw)
    assert (raw / METADATA).read_bytes() == content


def test_hidden_files_and_what_macos_adds_are_passed_over(source, raw):
    write_images(source / "__MACOSX" / PART_1, IDS[:2])
    write_images(source / ".trash", IDS)
    write_metadata(source / "__MACOSX" / METADATA)
    (source / PART_1 / "._ISIC_1.jpg").write_bytes(b"resource fork")
    write_zip(source / "a.zip", {"__MACOSX/._ISIC_1.jpg": b"fork", "x/.ISIC_2.jpg": b"fork"})
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])


def test_what_a_broken_run_left_is_removed(source, raw):
    write_images(raw / PART_2, [*IDS, "ISIC_99"])
    (raw / PART_1).mkdir()
    (raw / "half.tmp").write_text("left", encoding="utf-8")
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])


def left(raw):
    return sorted(path.name for path in raw.parent.iterdir())


def test_a_fault_of_content_leaves_nothing_that_counts(source, raw):
    (source / PART_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    with pytest.raises(ValueError, match="complete JPEG"):
        ingest_folder(source, raw)
    assert left(raw) == []


def test_a_fault_of_content_leaves_what_was_there(source, raw):
    ingest_folder(source, raw)
    (source / PART_2 / "ISIC_5.jpg").unlink()
    (source / PART_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    with pytest.raises(ValueError, match="complete JPEG"):
        ingest_folder(source, raw)
    assert left(raw) == ["raw"]
    assert_raw_is_whole(raw, part_2=IDS[3:])


KILLED = """
import os, signal, sys
from lesions import ingestion
# Not one image before, and not all after: killed when the third is about to be linked.
link, n = ingestion._link, 0
def kill_third(*paths):
    global n
    n += 1
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    link(*paths)
ingestion._link = kill_third
ingestion.ingest_folder(*sys.argv[1:])
"""


def test_a_killed_run_leaves_nothing_that_counts_and_the_next_cleans_up(source, raw):
    path = f"{Path(__file__).parents[1] / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, source, raw], env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == -signal.SIGKILL
    assert left(raw) == ["raw.new"]
    assert len(list((raw.parent / "raw.new").rglob("*.jpg"))) == 2
    ingest_folder(source, raw)
    assert left(raw) == ["raw"]
    assert_raw_is_whole(raw, part_2=IDS[3:])


@pytest.mark.parametrize("suffix", [".csv", ".tab", ""])
def test_the_isics_ground_truth_is_metadata(source, raw, suffix):
    (source / METADATA).unlink()
    lines = ["image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"]
    places = [3, 2, 4, 5, 0, 1, 6]  # of akiec, bcc, bkl, df, mel, nv, vasc
    lines += [f"{i}," + ",".join(str(float(place == n)) for n in range(7))
              for i, place in zip(IDS, places, strict=True)]  # fmt: skip
    name = f"ISIC2018_Task3_Test_GroundTruth{suffix}"
    (source / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    assert (raw / METADATA).read_text(encoding="utf-8").splitlines()[1] == "ISIC_1,ISIC_1,akiec,,,,"


def test_of_a_linked_destination_only_the_link_is_removed(source, raw, tmp_path):
    write_images(tmp_path / "other", ["ISIC_99"])
    raw.parent.mkdir()
    raw.symlink_to(tmp_path / "other")
    ingest_folder(source, raw)
    assert_raw_is_whole(raw, part_2=IDS[3:])
    assert (tmp_path / "other" / "ISIC_99.jpg").is_file()


# Faults of names, found before anything is written


def refuse(source, raw, message, **options):
    raw.mkdir(parents=True)
    (raw / "witness").touch()
    before = snapshot(source)
    with pytest.raises(ValueError, match=message):
        ingest_folder(source, raw, **options)
    assert [path.name for path in raw.iterdir()] == ["witness"]
    assert snapshot(source) == before


def test_images_without_a_file_are_counted_and_the_first_is_named(source, raw):
    for image_id in IDS[:2]:
        (source / PART_1 / f"{image_id}.jpg").unlink()
    message = (
        r"^2 of 7 images in the metadata have no file, first ISIC_1; "
        r"look in data.path or run 'dvc pull'\.$"
    )
    refuse(source, raw, message)


def test_files_without_a_row_are_counted_and_the_way_out_is_named(source, raw):
    write_images(source / "more", ["ISIC_98", "ISIC_99"])
    message = (
        r"^every image file must have a row in the metadata; 2 of 9 have none, "
        r"first more/ISIC_98\.jpg; .* `data.extra_images: ignore`\.$"
    )
    refuse(source, raw, message)


def test_files_without_a_row_are_left_behind_if_that_is_asked_for(source, raw):
    write_images(source / "more", ["ISIC_98"])
    write_images(source / "more" / "copy", ["ISIC_98"])
    write_zip(source / "test.zip", contents(["ISIC_99"]))
    ingest_folder(source, raw, extra_images="ignore")
    assert_raw_is_whole(raw, part_2=IDS[3:])


def test_another_wish_for_extra_images_is_refused(source, raw):
    refuse(source, raw, "must be 'refuse' or 'ignore'; it is 'skip'", extra_images="skip")


def test_the_two_copies_in_kaggles_archive_are_told(source, raw):
    write_images(source / PART_1.lower(), IDS[:3])
    message = (
        r"^an image must have one file; 3 of 7 have more, first ISIC_1: "
        r"HAM10000_images_part_1/ISIC_1\.jpg and ham10000_images_part_1/ISIC_1\.jpg; "
        r"delete or move one of the copies \(Kaggle's archive carries every image twice"
    )
    refuse(source, raw, message)


def test_an_archive_beside_its_unpacked_folder_is_told(source, raw):
    write_zip(source / f"{PART_2}.zip", contents(IDS[3:]))
    message = (
        r"4 of 7 have more, first ISIC_4: HAM10000_images_part_2/ISIC_4\.jpg and "
        r"HAM10000_images_part_2\.zip/ISIC_4\.jpg; an archive lies beside what was unpacked"
    )
    refuse(source, raw, message)


def test_two_suffixes_of_one_image_are_two_files(source, raw):
    (source / PART_1 / "ISIC_2.jpeg").write_bytes(jpeg(2))
    refuse(source, raw, r"1 of 7 have more, first ISIC_2: .*/ISIC_2\.jpeg and .*/ISIC_2\.jpg")


def test_a_folder_named_like_an_image_is_refused(source, raw):
    (source / PART_1 / "ISIC_1.jpg").unlink()
    (source / PART_1 / "ISIC_1.jpg").mkdir()
    refuse(source, raw, r"a file; 1 of 7 are not, first HAM.*_1/ISIC_1\.jpg, a folder; rename")


def test_a_link_to_nothing_is_refused(source, raw):
    (source / PART_1 / "ISIC_1.jpg").unlink()
    (source / PART_1 / "ISIC_1.jpg").symlink_to("gone")
    refuse(source, raw, r"1 of 7 are not, first .*ISIC_1\.jpg, a link to nothing; .*'dvc pull'")


def test_a_fault_of_the_metadata_is_found_first(source, raw):
    text = (source / METADATA).read_text(encoding="utf-8")
    (source / METADATA).write_text(text.replace(",mel,", ",melanoma,"), encoding="utf-8")
    shutil.rmtree(source / PART_1)
    refuse(source, raw, "dx must be one of .* row 6 of HAM10000_metadata.csv has 'melanoma'")


def test_a_missing_folder_is_told(raw, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is not there; look in data.path or run 'dvc pu"):
        ingest_folder(tmp_path / "nowhere", raw)


def test_missing_metadata_is_told(source, raw):
    (source / METADATA).unlink()
    refuse(source, raw, r"must lie in data.path; none is in .*mine or below; look in data.path or")


def test_metadata_in_an_archive_is_told(source, raw):
    write_zip(source / "archive.zip", {f"x/{METADATA}": (source / METADATA).read_bytes()})
    (source / METADATA).unlink()
    refuse(source, raw, r"none is in .* unpack .*archive\.zip, which holds it")


def test_two_metadata_files_are_named(source, raw):
    write_metadata(source / "HAM10000_metadata.tab", separator="\t")
    message = (
        r"hold one metadata file; 2 are in .*mine: HAM10000_metadata\.csv, "
        r"HAM10000_metadata\.tab; keep one and move the others away\.$"
    )
    refuse(source, raw, message)


def test_two_equal_metadata_files_are_called_equal(source):
    shutil.copy(source / METADATA, source / PART_1 / METADATA)
    with pytest.raises(ValueError, match=r"_metadata\.csv \(equal, byte for byte\); keep one"):
        find_metadata(source)


@pytest.mark.parametrize("inner", [".", "raw", PART_1])
def test_the_users_folder_is_never_the_one_to_be_emptied(source, inner):
    before = snapshot(source)
    with pytest.raises(ValueError, match="must lie apart, or your files would be changed"):
        ingest_folder(source, source / inner)
    with pytest.raises(ValueError, match="must lie apart"):
        ingest_folder(source / inner, source)
    assert snapshot(source) == before


def test_a_link_to_the_users_folder_is_seen_through(source, raw):
    raw.parent.mkdir()
    raw.symlink_to(source)
    with pytest.raises(ValueError, match="must lie apart"):
        ingest_folder(source, raw)


# An external set: the same faults, another setting


def lose_the_metadata(source):
    (source / METADATA).unlink()


def double_the_metadata(source):
    shutil.copy(source / METADATA, source / PART_1 / METADATA)


def lose_an_image(source):
    (source / PART_1 / "ISIC_1.jpg").unlink()


@pytest.mark.parametrize(
    "spoil", [shutil.rmtree, lose_the_metadata, double_the_metadata, lose_an_image]
)
def test_a_message_names_the_setting_that_it_is_about(source, raw, spoil):
    spoil(source)
    with pytest.raises(ValueError, match=r"data\.external\.isic") as refused:
        ingest_folder(source, raw, setting="data.external.isic")
    assert "data.path" not in str(refused.value)


def test_a_folder_to_write_within_an_external_set_is_told_by_its_setting(source):
    with pytest.raises(ValueError, match=r"^data\.ext\.a and .* set data\.ext\.a\.$"):
        ingest_folder(source, source / "raw", setting="data.ext.a")


# Faults of content


def test_a_broken_image_is_named_by_its_place(source, raw):
    (source / PART_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    message = r"complete JPEG; 1 of 7 are not, first HAM10000_images_part_2/ISIC_5\.jpg: cut off"
    with pytest.raises(ValueError, match=message):
        ingest_folder(source, raw)


def test_a_broken_image_in_an_archive_is_named_by_both(source, raw):
    shutil.rmtree(source / PART_2)
    write_zip(source / f"{PART_2}.zip", contents(IDS[3:]) | {"ISIC_6.jpg": jpeg(6)[:-2]})
    with pytest.raises(ValueError, match=r"1 of 7 .* HAM10000_images_part_2\.zip/ISIC_6\.jpg: cut"):
        ingest_folder(source, raw)


def test_an_archive_cut_short_is_refused(source, raw):
    path = source / f"{PART_2}.zip"
    write_zip(path, contents(IDS[3:]))
    shutil.rmtree(source / PART_2)
    path.write_bytes(path.read_bytes()[:1000])
    message = r"whole and without a password; .*part_2\.zip \(1000 bytes\) cannot be read: File is"
    refuse(source, raw, message)


# Real data


def shared(name):
    if not (SHARED / name / METADATA).is_file():
        pytest.skip(f"{name} is not there; LESIONS_SHARED names the folder that holds it")
    return SHARED / name


@pytest.mark.parametrize(
    ("name", "n_part_1", "n_part_2"), [("ham10000_sample", 33, 37), ("ham10000_28", 5000, 5015)]
)
def test_the_real_photographs_are_brought_over(name, n_part_1, n_part_2, tmp_path):
    source = shared(name)
    ingest_folder(source, tmp_path / "raw")
    assert (tmp_path / "raw" / METADATA).read_bytes() == (source / METADATA).read_bytes()
    images = find_images(tmp_path / "raw")
    assert images == find_images(source)
    parts = [path.partition("/")[0] for path in images.values()]
    assert (parts.count(PART_1), parts.count(PART_2)) == (n_part_1, n_part_2)
    labels = encode_labels(read_metadata(tmp_path / "raw" / METADATA), images)
    assert len(labels) == n_part_1 + n_part_2
