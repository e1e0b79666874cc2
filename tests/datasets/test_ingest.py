import errno
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from cloned import ROOT

from lesions.datasets.ham10000 import CODES, COLUMNS, IMAGE_FOLDERS, METADATA
from lesions.datasets.image_files import find_images
from lesions.datasets.ingest import ingest_folder
from lesions.datasets.labels import encode_labels
from lesions.datasets.metadata import read_metadata

SETTING = "sets.study.source.path"
IDS = [f"ISIC_{n}" for n in range(1, 8)]
FOLDER_1, FOLDER_2 = IMAGE_FOLDERS


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


def write_images(folder, ids, *, suffix=".jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for image_id in ids:
        (folder / f"{image_id}{suffix}").write_bytes(jpeg(int(image_id[5:])))


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def contents(ids):
    return {f"{image_id}.jpg": jpeg(int(image_id[5:])) for image_id in ids}


def snapshot(folder):
    return {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def ingest(source, raw, setting=SETTING, **options):
    ingest_folder(source, raw, codes=CODES, setting=setting, **options)


@pytest.fixture
def source(tmp_path):
    """HAM10000's own layout: three images in the first folder, four in the second."""
    folder = tmp_path / "mine"
    write_metadata(folder / METADATA)
    write_images(folder / FOLDER_1, IDS[:3])
    write_images(folder / FOLDER_2, IDS[3:])
    return folder


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "data" / "raw"


def assert_raw_is_complete(raw, *, in_second):
    expected = {
        image_id: f"{FOLDER_2 if image_id in in_second else FOLDER_1}/{image_id}.jpg"
        for image_id in IDS
    }
    assert find_images(raw) == expected
    for image_id, path in expected.items():
        assert (raw / path).read_bytes() == jpeg(int(image_id[5:]))
    labels = encode_labels(read_metadata(raw / METADATA), find_images(raw))
    assert labels["label"].tolist() == list(range(7))
    assert {path.name for path in raw.iterdir()} == {METADATA, *IMAGE_FOLDERS, "excluded.csv"}


# Layouts


def test_folders_are_ingested_and_the_users_own_is_unchanged(source, raw):
    before = snapshot(source)
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])
    assert (raw / METADATA).read_bytes() == (source / METADATA).read_bytes()
    shutil.rmtree(raw)
    assert snapshot(source) == before


def test_images_are_hard_links_and_the_metadata_is_a_copy(source, raw):
    ingest(source, raw)
    name = f"{FOLDER_1}/ISIC_1.jpg"
    assert os.stat(raw / name).st_ino == os.stat(source / name).st_ino
    assert os.stat(raw / METADATA).st_ino != os.stat(source / METADATA).st_ino


def test_a_read_only_folder_is_enough(source, raw):
    for path in source.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        ingest(source, raw)
        assert_raw_is_complete(raw, in_second=IDS[3:])
        assert os.stat(source / FOLDER_1 / "ISIC_1.jpg").st_mode & 0o777 == 0o444
        ingest(source, raw)  # what was brought over can be emptied again
    finally:
        for path in [path for path in source.rglob("*") if path.is_dir()]:
            path.chmod(0o755)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_images_are_copied_if_they_cannot_be_linked(source, raw, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])
    name = f"{FOLDER_1}/ISIC_1.jpg"
    assert os.stat(raw / name).st_ino != os.stat(source / name).st_ino


def test_a_full_disk_is_not_taken_for_a_lack_of_links(source, raw, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        ingest(source, raw)


def test_symbolic_links_are_followed_to_the_files(source, raw, tmp_path):
    shutil.move(source / FOLDER_1, tmp_path / "elsewhere")
    (source / FOLDER_1).symlink_to(tmp_path / "elsewhere")
    target = tmp_path / "object"
    shutil.move(source / FOLDER_2 / "ISIC_7.jpg", target)
    (source / FOLDER_2 / "ISIC_7.jpg").symlink_to(target)
    (source / "again").symlink_to(source)  # a loop
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])
    assert not (raw / FOLDER_2 / "ISIC_7.jpg").is_symlink()


def test_archives_are_unpacked(source, raw):
    write_zip(source / f"{FOLDER_1}.zip", contents(IDS[:3]))
    write_zip(source / f"{FOLDER_2.lower()}.ZIP", contents(IDS[3:]))
    for folder in IMAGE_FOLDERS:
        shutil.rmtree(source / folder)
    before = snapshot(source)
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])
    assert snapshot(source) == before


def test_folders_within_an_archive_determine_the_folder(source, raw):
    for folder in IMAGE_FOLDERS:
        shutil.rmtree(source / folder)
    members = {f"{FOLDER_1}/{name}": content for name, content in contents(IDS[:3]).items()}
    members |= {f"x\\{FOLDER_2}\\{name}": content for name, content in contents(IDS[3:]).items()}
    write_zip(source / "archive.zip", members)
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_a_folder_and_an_archive_are_combined(source, raw):
    write_zip(source / "deep" / "down" / f"{FOLDER_2}.zip", contents(IDS[3:]))
    shutil.rmtree(source / FOLDER_2)
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_nothing_is_unpacked_outside_the_folder(source, raw, tmp_path):
    shutil.rmtree(source / FOLDER_2)
    members = {f"../../../{IDS[3]}.jpg": jpeg(4), f"/{IDS[4]}.jpg": jpeg(5)}
    write_zip(source / "odd.zip", members | contents(IDS[5:]))
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=[])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "data"}


def test_capital_and_long_suffixes_become_jpg(source, raw):
    for folder, suffix in zip(IMAGE_FOLDERS, [".JPG", ".jpeg"], strict=True):
        for path in (source / folder).iterdir():
            path.rename(path.with_suffix(suffix))
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_files_may_be_in_any_subfolder(raw, tmp_path):
    source = tmp_path / "mine"
    write_metadata(source / "a" / "b" / METADATA.lower())
    write_images(source, IDS[:1])
    write_images(source / "photos" / "c" / "d", IDS[1:4])
    write_images(source / "ham10000_images_part_2" / "e", IDS[4:])
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[4:])


@pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata", METADATA])
def test_tabs_become_commas_whatever_the_file_name(source, raw, name):
    expected = (source / METADATA).read_bytes()
    (source / METADATA).unlink()
    write_metadata(source / name, separator="\t")
    ingest(source, raw)
    assert (raw / METADATA).read_bytes() == expected


def test_metadata_with_commas_is_copied_byte_for_byte_whatever_its_name(source, raw):
    content = b"\xef\xbb\xbf" + (source / METADATA).read_bytes().replace(b"\n", b"\r\n")
    (source / METADATA).unlink()
    (source / "HAM10000_metadata").write_bytes(content)
    ingest(source, raw)
    assert (raw / METADATA).read_bytes() == content


def test_hidden_files_and_those_of_macos_are_skipped(source, raw):
    write_images(source / "__MACOSX" / FOLDER_1, IDS[:2])
    write_images(source / ".trash", IDS)
    write_metadata(source / "__MACOSX" / METADATA)
    (source / FOLDER_1 / "._ISIC_1.jpg").write_bytes(b"resource fork")
    write_zip(source / "a.zip", {"__MACOSX/._ISIC_1.jpg": b"fork", "x/.ISIC_2.jpg": b"fork"})
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_leftovers_of_an_interrupted_run_are_removed(source, raw):
    write_images(raw / FOLDER_2, [*IDS, "ISIC_99"])
    (raw / FOLDER_1).mkdir()
    (raw / "half.tmp").write_text("left", encoding="utf-8")
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])


def left(raw):
    return sorted(path.name for path in raw.parent.iterdir())


def test_a_faulty_image_leaves_no_folder(source, raw):
    (source / FOLDER_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    with pytest.raises(ValueError, match="not complete JPEGs"):
        ingest(source, raw)
    assert left(raw) == []


def test_a_faulty_image_leaves_the_old_folder(source, raw):
    ingest(source, raw)
    (source / FOLDER_2 / "ISIC_5.jpg").unlink()
    (source / FOLDER_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    with pytest.raises(ValueError, match="not complete JPEGs"):
        ingest(source, raw)
    assert left(raw) == ["raw"]
    assert_raw_is_complete(raw, in_second=IDS[3:])


KILLED = """
import os, signal, sys
from lesions.datasets import ingest
# Killed when the third image is about to be linked.
link, n = ingest._link, 0
def kill_third(*paths):
    global n
    n += 1
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    link(*paths)
ingest._link = kill_third
ingest.ingest_folder(*sys.argv[1:], codes="akiec bcc bkl df mel nv vasc".split(), setting="x")
"""


def test_a_killed_run_leaves_no_folder_and_the_next_one_cleans_up(source, raw):
    path = f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, source, raw], env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == -signal.SIGKILL
    assert left(raw) == ["raw.new"]
    assert len(list((raw.parent / "raw.new").rglob("*.jpg"))) == 2
    ingest(source, raw)
    assert left(raw) == ["raw"]
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_a_linked_destination_is_replaced_and_its_target_kept(source, raw, tmp_path):
    write_images(tmp_path / "other", ["ISIC_99"])
    raw.parent.mkdir()
    raw.symlink_to(tmp_path / "other")
    ingest(source, raw)
    assert_raw_is_complete(raw, in_second=IDS[3:])
    assert (tmp_path / "other" / "ISIC_99.jpg").is_file()


# Faults of names, found before anything is written


def refuse(source, raw, message, **options):
    raw.mkdir(parents=True)
    (raw / "witness").touch()
    before = snapshot(source)
    with pytest.raises(ValueError, match=message):
        ingest(source, raw, **options)
    assert [path.name for path in raw.iterdir()] == ["witness"]
    assert snapshot(source) == before


def test_images_without_a_file_are_counted_and_the_first_is_named(source, raw):
    for image_id in IDS[:2]:
        (source / FOLDER_1 / f"{image_id}.jpg").unlink()
    message = (
        r"^2 of 7 images in the metadata have no file, first ISIC_1; "
        r"look in sets\.study\.source\.path, or run 'dvc pull'$"
    )
    refuse(source, raw, message)


def test_files_without_a_row_are_counted_and_the_setting_is_named(source, raw):
    write_images(source / "more", ["ISIC_98", "ISIC_99"])
    message = (
        r"^2 of 9 image files have no row in the metadata, first more/ISIC_98\.jpg; "
        r".* set sets\.study\.source\.extra_images to ignore$"
    )
    refuse(source, raw, message)


def test_files_without_a_row_are_ignored_on_request(source, raw):
    write_images(source / "more", ["ISIC_98"])
    write_images(source / "more" / "copy", ["ISIC_98"])
    write_zip(source / "test.zip", contents(["ISIC_99"]))
    ingest(source, raw, extra_images="ignore")
    assert_raw_is_complete(raw, in_second=IDS[3:])


def test_the_two_copies_in_kaggles_archive_are_refused(source, raw):
    write_images(source / FOLDER_1.lower(), IDS[:3])
    message = (
        r"^3 of 7 images have several files, first ISIC_1: "
        r"HAM10000_images_part_1/ISIC_1\.jpg and ham10000_images_part_1/ISIC_1\.jpg; "
        r"delete or move one of the copies \(Kaggle's archive has every image twice"
    )
    refuse(source, raw, message)


def test_an_archive_beside_its_unpacked_folder_is_refused(source, raw):
    write_zip(source / f"{FOLDER_2}.zip", contents(IDS[3:]))
    message = (
        r"4 of 7 images have several files, first ISIC_4: HAM10000_images_part_2/ISIC_4\.jpg and "
        r"HAM10000_images_part_2\.zip/ISIC_4\.jpg; move away either the archive or what"
    )
    refuse(source, raw, message)


def test_two_suffixes_of_one_image_are_two_files(source, raw):
    (source / FOLDER_1 / "ISIC_2.jpeg").write_bytes(jpeg(2))
    message = r"1 of 7 images have several .*, first ISIC_2: .*/ISIC_2\.jpeg and .*/ISIC_2\.jpg"
    refuse(source, raw, message)


def test_a_folder_named_like_an_image_is_refused(source, raw):
    (source / FOLDER_1 / "ISIC_1.jpg").unlink()
    (source / FOLDER_1 / "ISIC_1.jpg").mkdir()
    message = r"1 of 7 paths .* are not files, first HAM.*_1/ISIC_1\.jpg, a folder; rename"
    refuse(source, raw, message)


def test_a_broken_link_is_refused(source, raw):
    (source / FOLDER_1 / "ISIC_1.jpg").unlink()
    (source / FOLDER_1 / "ISIC_1.jpg").symlink_to("gone")
    refuse(source, raw, r"1 of 7 .* not files, first .*ISIC_1\.jpg, a broken link; .*'dvc pull'")


def test_a_fault_in_the_metadata_is_found_first(source, raw):
    text = (source / METADATA).read_text(encoding="utf-8")
    (source / METADATA).write_text(text.replace(",mel,", ",melanoma,"), encoding="utf-8")
    shutil.rmtree(source / FOLDER_1)
    refuse(source, raw, r"HAM10000_metadata\.csv has unknown diagnoses \(1\):\n  'melanoma': 1")


def test_a_missing_folder_is_refused(raw, tmp_path):
    message = r"nowhere is not a folder; correct sets\.study\.source\.path, or run 'dvc pull'"
    with pytest.raises(ValueError, match=message):
        ingest(tmp_path / "nowhere", raw)


def test_missing_metadata_is_refused(source, raw):
    (source / METADATA).unlink()
    refuse(source, raw, r"No metadata in .*mine or below .*; correct sets\.study\.source\.path, or")


def test_metadata_in_an_archive_is_refused(source, raw):
    write_zip(source / "archive.zip", {f"x/{METADATA}": (source / METADATA).read_bytes()})
    (source / METADATA).unlink()
    refuse(source, raw, r"No metadata in .* unpack it from .*archive\.zip, or")


def test_two_metadata_files_are_named(source, raw):
    write_metadata(source / "HAM10000_metadata.tab", separator="\t")
    message = (
        r"^2 metadata files in .*mine \(sets\.study\.source\.path\): HAM10000_metadata\.csv, "
        r"HAM10000_metadata\.tab; keep one and move the others away$"
    )
    refuse(source, raw, message)


def test_two_identical_metadata_files_are_called_identical(source, raw):
    shutil.copy(source / METADATA, source / FOLDER_1 / METADATA)
    with pytest.raises(ValueError, match=r"_metadata\.csv \(identical\); keep one"):
        ingest(source, raw)


@pytest.mark.parametrize("inner", [".", "raw", FOLDER_1])
def test_the_users_folder_is_never_overwritten(source, inner):
    before = snapshot(source)
    with pytest.raises(ValueError, match="overlap, so that your files would be changed"):
        ingest(source, source / inner)
    with pytest.raises(ValueError, match="overlap"):
        ingest(source / inner, source)
    assert snapshot(source) == before


def test_a_link_to_the_users_folder_is_recognised(source, raw):
    raw.parent.mkdir()
    raw.symlink_to(source)
    with pytest.raises(ValueError, match="overlap"):
        ingest(source, raw)


# The setting that messages name


def lose_the_metadata(source):
    (source / METADATA).unlink()


def double_the_metadata(source):
    shutil.copy(source / METADATA, source / FOLDER_1 / METADATA)


def lose_an_image(source):
    (source / FOLDER_1 / "ISIC_1.jpg").unlink()


@pytest.mark.parametrize(
    "spoil", [shutil.rmtree, lose_the_metadata, double_the_metadata, lose_an_image]
)
def test_a_message_names_the_setting(source, raw, spoil):
    spoil(source)
    with pytest.raises(ValueError, match=r"sets\.isic\.source\.path"):
        ingest(source, raw, setting="sets.isic.source.path")


def test_a_folder_to_write_within_the_source_is_refused_by_its_setting(source):
    message = r"mine \(sets\.a\.source\.path\) and .* correct sets\.a\.source\.path$"
    with pytest.raises(ValueError, match=message):
        ingest(source, source / "raw", setting="sets.a.source.path")


# Faults of content


def test_a_broken_image_is_named_by_its_path(source, raw):
    (source / FOLDER_2 / "ISIC_5.jpg").write_bytes(jpeg(5)[:-2])
    message = r"1 of 7 images are not complete JPEGs, first HAM10000_images_part_2/ISIC_5\.jpg: cut"
    with pytest.raises(ValueError, match=message):
        ingest(source, raw)


def test_a_broken_image_in_an_archive_is_named_with_the_archive(source, raw):
    shutil.rmtree(source / FOLDER_2)
    write_zip(source / f"{FOLDER_2}.zip", contents(IDS[3:]) | {"ISIC_6.jpg": jpeg(6)[:-2]})
    with pytest.raises(ValueError, match=r"1 of 7 .* HAM10000_images_part_2\.zip/ISIC_6\.jpg: cut"):
        ingest(source, raw)


def test_an_archive_cut_short_is_refused(source, raw):
    path = source / f"{FOLDER_2}.zip"
    write_zip(path, contents(IDS[3:]))
    shutil.rmtree(source / FOLDER_2)
    path.write_bytes(path.read_bytes()[:1000])
    message = r"Cannot read the archive .*part_2\.zip \(1000 bytes\): File is not a zip file"
    refuse(source, raw, message)


# Real data


@pytest.mark.parametrize(
    ("name", "n_first", "n_second"), [("ham10000_sample", 33, 37), ("ham10000_28", 5000, 5015)]
)
def test_real_photographs_are_ingested(name, n_first, n_second, tmp_path, shared):
    source = shared(name)
    ingest(source, tmp_path / "raw")
    assert (tmp_path / "raw" / METADATA).read_bytes() == (source / METADATA).read_bytes()
    images = find_images(tmp_path / "raw")
    assert images == find_images(source)
    folders = [path.partition("/")[0] for path in images.values()]
    assert (folders.count(FOLDER_1), folders.count(FOLDER_2)) == (n_first, n_second)
    labels = encode_labels(read_metadata(tmp_path / "raw" / METADATA), images)
    assert len(labels) == n_first + n_second
