import io
import tarfile
import zipfile

import pytest

from lesions.datasets import archives
from lesions.datasets.archives import contains_file, extract_images, list_archived_images


def write_zip(path, members, *, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def extract_all(folder, out=None):
    images = list_archived_images(folder)
    extract_images({image: (out or folder) / image.image_id for image in images})


def test_members_are_listed_as_if_the_archive_were_a_folder(tmp_path):
    write_zip(tmp_path / "x.ZIP", {"b.jpg": b"b", "in/a.JPEG": b"a", "c.txt": b"c", "d.jpg/": b""})
    paths = {image.image_id: image.relative_path for image in list_archived_images(tmp_path)}
    assert paths == {"b": "x.ZIP/b.jpg", "a": "x.ZIP/in/a.JPEG"}


def test_backslashes_of_windows_separate_folders(tmp_path):
    write_zip(tmp_path / "x.zip", {"in\\a.jpg": b"a"})
    assert [image.relative_path for image in list_archived_images(tmp_path)] == ["x.zip/in/a.jpg"]


def test_hidden_members_and_those_of_macos_are_skipped(tmp_path):
    write_zip(tmp_path / "x.zip", {"__MACOSX/a.jpg": b"", "in/._a.jpg": b"", ".trash/a.jpg": b""})
    assert list_archived_images(tmp_path) == []


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_images_are_written_to_their_targets_and_nowhere_else(tmp_path, compression):
    (tmp_path / "deep").mkdir()
    write_zip(
        tmp_path / "deep" / "x.zip", {"../../a.jpg": b"AA", "b.jpg": b"B"}, compression=compression
    )
    (tmp_path / "out").mkdir()
    extract_images(
        {image: tmp_path / "out" / image.image_id for image in list_archived_images(tmp_path)}
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "a": b"AA",
        "b": b"B",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "out"}


def test_an_existing_file_is_not_overwritten(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"new"})
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(FileExistsError):
        extract_images(dict.fromkeys(list_archived_images(tmp_path), tmp_path / "a"))
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"


def test_a_file_is_found_in_any_folder_and_any_case(tmp_path):
    write_zip(tmp_path / "x.zip", {"in/Table.CSV": b""})
    assert contains_file(tmp_path / "x.zip", ["table.csv"])
    assert not contains_file(tmp_path / "x.zip", ["able.csv", "in/table.csv"])


def test_an_archive_cut_short_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(2000)})
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:1000])
    message = r"Cannot read the archive .*x\.zip \(1000 bytes\): File is not a zip file; down"
    with pytest.raises(ValueError, match=message):
        list_archived_images(tmp_path)
    with pytest.raises(ValueError, match=message):
        contains_file(tmp_path / "x.zip", ["table.csv"])


def test_an_archive_with_a_damaged_member_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"undamaged"})
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace(b"undamaged", b"un!amaged"))
    with pytest.raises(ValueError, match=r"x\.zip .*: Bad CRC-32 for file 'a\.jpg'; downl"):
        extract_all(tmp_path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_whatever_the_compression(tmp_path, compression):
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(range(256)) * 99}, compression=compression)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[50:70] = b"\xff" * 20
    (tmp_path / "x.zip").write_bytes(content)
    message = r"Cannot read the archive .*x\.zip \(\d+ bytes\): .*; download it again"
    with pytest.raises(ValueError, match=message):
        extract_images(dict.fromkeys(list_archived_images(tmp_path), tmp_path / "a"))


def test_an_archive_that_lost_its_first_bytes_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a" * 999, "b.jpg": b"b" * 999})
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[500:])
    with pytest.raises(ValueError, match=r"Cannot read the archive .*x\.zip \(\d+ bytes\): "):
        extract_all(tmp_path)


def test_an_archive_with_a_member_without_a_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"a")
        archive.infolist()[0].filename = ""  # the list is written last
    with pytest.raises(ValueError, match=r"Cannot read the archive .*x\.zip \(\d+ bytes\): "):
        list_archived_images(tmp_path)


def test_a_target_that_cannot_be_written_is_not_reported_as_a_damaged_archive(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a"})
    (image,) = list_archived_images(tmp_path)
    with pytest.raises(FileNotFoundError):
        extract_images({image: tmp_path / "nowhere" / "a"})


def test_an_archive_with_a_password_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"secret"})
    content = bytearray((tmp_path / "x.zip").read_bytes())
    # Bit 0 of a member's flags says "encrypted": byte 6 of its local header, 8 of its entry in the
    # central directory (APPNOTE.TXT 4.3.7, 4.3.12).
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"Cannot read .* is encrypted, password required"):
        extract_all(tmp_path)


# Archive bombs

MIB = 2**20


def test_a_bomb_is_refused_by_its_stated_size_before_anything_is_written(tmp_path):
    # 65 MiB of zeros, one more than an image may have; deflate packs some 1,000 to 1.
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(65 * MIB)}, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    message = (
        r"x\.zip/a\.jpg has 68157440 bytes unpacked \(\d+ packed\), above the limit of 6710886"
    )
    with pytest.raises(ValueError, match=message):
        extract_all(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_too_many_images_of_an_allowed_size_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2999)
    members = {f"{name}.jpg": bytes(1000) for name in "abc"}
    write_zip(tmp_path / "x.zip", members, compression=zipfile.ZIP_DEFLATED)
    targets = {image: tmp_path / image.image_id for image in list_archived_images(tmp_path)}
    message = "The 3 images in the archives have 3000 bytes unpacked, above the limit of 2999;"
    with pytest.raises(ValueError, match=message):
        extract_images(targets)
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 3000)
    extract_images(targets)
    assert (tmp_path / "c").read_bytes() == bytes(1000)


def test_a_bomb_with_a_false_size_is_cut_off_at_that_size_and_refused(tmp_path):
    path = tmp_path / "x.zip"
    write_zip(path, {"a.jpg": bytes(8 * MIB)}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    # The unpacked size: byte 22 of the local header, 24 of the entry in the central directory
    # (APPNOTE.TXT 4.3.7, 4.3.12).
    for offset in (22, content.index(b"PK\x01\x02") + 24):
        assert content[offset : offset + 4] == (8 * MIB).to_bytes(4, "little")
        content[offset : offset + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Cannot read .*: Bad CRC-32"):
        extract_all(tmp_path)
    assert (tmp_path / "a").stat().st_size <= 1000


# Tar archives


def write_tar(path, members):
    with tarfile.open(path, "w:gz" if path.name.lower().endswith("gz") else "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "X.TGZ"])
def test_images_of_a_tar_archive_are_written_to_their_targets(tmp_path, name):
    members = {"./b/b.jpg": b"B", "a.png": b"AA", "../../c.bmp": b"C", "__MACOSX/d.jpg": b"D"}
    write_tar(tmp_path / name, members)
    images = list_archived_images(tmp_path)
    assert [image.relative_path for image in images] == [
        f"{name}/b/b.jpg",
        f"{name}/a.png",
        f"{name}/../../c.bmp",
    ]
    (tmp_path / "out").mkdir()
    extract_images({image: tmp_path / "out" / image.image_id for image in reversed(images)})
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == {"a": b"AA", "b": b"B", "c": b"C"}
    assert {path.name for path in tmp_path.iterdir()} == {name, "out"}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.8])
def test_a_tar_archive_cut_short_is_refused(tmp_path, name, kept):
    write_tar(tmp_path / name, {"a.jpg": bytes(range(256)) * 99, "b.jpg": bytes(range(256)) * 99})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=r"Cannot read the archive .*x\.tar.* bytes\): .*; downl"):
        list_archived_images(tmp_path)


def test_what_is_no_tar_archive_is_refused(tmp_path):
    (tmp_path / "x.tgz").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(ValueError, match=r"Cannot read the archive .*x\.tgz"):
        list_archived_images(tmp_path)


def test_a_bomb_in_a_tar_archive_is_refused_by_its_stated_size(tmp_path, monkeypatch):
    write_tar(tmp_path / "x.tar.gz", {"a.jpg": bytes(65 * MIB)})
    message = r"a\.jpg has 68157440 bytes unpacked \(\d+ packed\), above the limit of 6710886"
    with pytest.raises(ValueError, match=message):
        extract_all(tmp_path)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", MIB)
    with pytest.raises(ValueError, match=r"x\.tar\.gz has more than 1048576 bytes unpacked"):
        list_archived_images(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]
