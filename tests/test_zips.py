import zipfile

import pytest

from lesions.zips import holds, list_members, unpack


def write_zip(path, members, *, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_members_are_listed_as_if_the_archive_were_a_folder(tmp_path):
    write_zip(tmp_path / "x.ZIP", {"b.jpg": b"b", "in/a.JPEG": b"a", "c.txt": b"c", "d.jpg/": b""})
    places = {image.image_id: image.place for image in list_members(tmp_path)}
    assert places == {"b": "x.ZIP/b.jpg", "a": "x.ZIP/in/a.JPEG"}


def test_backslashes_of_windows_separate_folders(tmp_path):
    write_zip(tmp_path / "x.zip", {"in\\a.jpg": b"a"})
    assert [image.place for image in list_members(tmp_path)] == ["x.zip/in/a.jpg"]


def test_hidden_members_and_what_macos_adds_are_passed_over(tmp_path):
    write_zip(tmp_path / "x.zip", {"__MACOSX/a.jpg": b"", "in/._a.jpg": b"", ".trash/a.jpg": b""})
    assert list_members(tmp_path) == []


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_land_at_their_targets_and_nowhere_else(tmp_path, compression):
    (tmp_path / "deep").mkdir()
    write_zip(
        tmp_path / "deep" / "x.zip", {"../../a.jpg": b"AA", "b.jpg": b"B"}, compression=compression
    )
    (tmp_path / "out").mkdir()
    unpack({image: tmp_path / "out" / image.image_id for image in list_members(tmp_path)})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "a": b"AA",
        "b": b"B",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "out"}


def test_nothing_is_written_over(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"new"})
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(FileExistsError):
        unpack(dict.fromkeys(list_members(tmp_path), tmp_path / "a"))
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"


def test_a_file_is_found_in_any_folder_and_any_case(tmp_path):
    write_zip(tmp_path / "x.zip", {"in/Table.CSV": b""})
    assert holds(tmp_path / "x.zip", ["table.csv"])
    assert not holds(tmp_path / "x.zip", ["able.csv", "in/table.csv"])


def test_an_archive_cut_short_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(2000)})
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:1000])
    message = r"whole and without a password; .*x\.zip \(1000 bytes\) cannot be read: File is not"
    with pytest.raises(ValueError, match=message):
        list_members(tmp_path)
    with pytest.raises(ValueError, match=message):
        holds(tmp_path / "x.zip", ["table.csv"])


def test_an_archive_with_a_damaged_member_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"undamaged"})
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace(b"undamaged", b"un!amaged"))
    with pytest.raises(ValueError, match=r"cannot be read: Bad CRC-32 for file 'a\.jpg'; fetch it"):
        unpack({image: tmp_path / image.image_id for image in list_members(tmp_path)})


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_within_a_member_is_refused_however_it_is_packed(tmp_path, compression):
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(range(256)) * 99}, compression=compression)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[50:70] = b"\xff" * 20
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"x\.zip \(\d+ bytes\) cannot be read: .*; fetch it again"
    ):
        unpack(dict.fromkeys(list_members(tmp_path), tmp_path / "a"))


def test_an_archive_that_lost_its_first_bytes_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a" * 999, "b.jpg": b"b" * 999})
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[500:])
    with pytest.raises(ValueError, match=r"x\.zip \(\d+ bytes\) cannot be read"):
        unpack({image: tmp_path / image.image_id for image in list_members(tmp_path)})


def test_an_archive_with_a_member_without_a_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"a")
        archive.infolist()[0].filename = ""  # the list is written last
    with pytest.raises(ValueError, match=r"x\.zip \(\d+ bytes\) cannot be read"):
        list_members(tmp_path)


def test_a_target_that_cannot_be_written_is_not_taken_for_a_broken_archive(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a"})
    (image,) = list_members(tmp_path)
    with pytest.raises(FileNotFoundError):
        unpack({image: tmp_path / "nowhere" / "a"})


def test_an_archive_with_a_password_is_refused(tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"secret"})
    content = bytearray((tmp_path / "x.zip").read_bytes())
    # Bit 0 of a member's flags says "encrypted": byte 6 of its local header, 8 of its entry in the
    # central directory (APPNOTE.TXT 4.3.7, 4.3.12).
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"without a password; .* is encrypted, password required"):
        unpack({image: tmp_path / image.image_id for image in list_members(tmp_path)})


# Archives that swell

MIB = 2**20


def test_a_bomb_is_refused_by_its_list_before_anything_is_written(tmp_path):
    # 65 MiB of zeros, one more than an image may have; deflate packs some 1,000 to 1.
    write_zip(tmp_path / "x.zip", {"a.jpg": bytes(65 * MIB)}, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    message = r"at most 67108864 bytes unpacked; x\.zip/a\.jpg has 68157440, packed \d+; see where"
    with pytest.raises(ValueError, match=message):
        unpack({image: tmp_path / image.image_id for image in list_members(tmp_path)})
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_many_images_of_an_allowed_size_are_refused_together(tmp_path):
    members = {f"{name}.jpg": bytes(1000) for name in "abc"}
    write_zip(tmp_path / "x.zip", members, compression=zipfile.ZIP_DEFLATED)
    targets = {image: tmp_path / image.image_id for image in list_members(tmp_path)}
    message = r"at most 2999 bytes unpacked; these 3 have 3000; nothing was unpacked"
    with pytest.raises(ValueError, match=message):
        unpack(targets, largest_image=1000, largest_set=2999)
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    unpack(targets, largest_image=1000, largest_set=3000)
    assert (tmp_path / "c").read_bytes() == bytes(1000)


def test_a_bomb_whose_list_lies_is_cut_off_where_the_list_says_and_refused(tmp_path):
    path = tmp_path / "x.zip"
    write_zip(path, {"a.jpg": bytes(8 * MIB)}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    # The unpacked size: byte 22 of the local header, 24 of the entry in the central directory
    # (APPNOTE.TXT 4.3.7, 4.3.12).
    for place in (22, content.index(b"PK\x01\x02") + 24):
        assert content[place : place + 4] == (8 * MIB).to_bytes(4, "little")
        content[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read: Bad CRC-32"):
        unpack({image: tmp_path / image.image_id for image in list_members(tmp_path)})
    assert (tmp_path / "a").stat().st_size <= 1000
