import pytest

from lesions.folder import find_images, list_files


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_are_found_by_their_names_anywhere_below(tmp_path):
    touch(tmp_path, "c.jpg", "deep/down/a.JPG", "part/b.jpeg", "readme.txt", "part/d.png")
    assert find_images(tmp_path) == {"a": "deep/down/a.JPG", "b": "part/b.jpeg", "c": "c.jpg"}
    assert list(find_images(str(tmp_path))) == ["a", "b", "c"]


def test_hidden_files_archives_and_what_macos_adds_are_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", "._a.jpg", ".trash/b.jpg", "__MACOSX/c.jpg", "d.zip")
    assert find_images(tmp_path) == {"a": "a.jpg"}


def test_a_folder_that_is_linked_into_itself_is_walked_once(tmp_path):
    touch(tmp_path, "part/a.jpg")
    (tmp_path / "part" / "again").symlink_to(tmp_path)
    assert find_images(tmp_path) == {"a": "part/a.jpg"}


def test_two_files_of_one_image_are_refused_but_listed(tmp_path):
    touch(tmp_path, "one/a.jpg", "two/a.jpeg", "b.jpg")
    message = r"must have one file; 1 of 2 have more, first a: one/a\.jpg and two/a\.jpeg; delete"
    with pytest.raises(ValueError, match=message):
        find_images(tmp_path)
    assert [image.image_id for image in list_files(tmp_path)] == ["b", "a", "a"]


def test_what_is_named_like_an_image_must_be_a_file(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").symlink_to("gone")
    with pytest.raises(
        ValueError, match=r"must be a file; 2 of 2 are not, first a\.jpg, a folder;"
    ):
        find_images(tmp_path)
    (tmp_path / "a.jpg").rmdir()
    with pytest.raises(
        ValueError, match=r"1 of 1 are not, first b\.jpg, a link to nothing; .*pull'"
    ):
        find_images(tmp_path)


def test_what_is_no_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is not there; look in data.path or run 'dvc pu"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "archive.zip").touch()
    with pytest.raises(ValueError, match=r"archive.zip is no folder; look in data.path"):
        find_images(tmp_path / "archive.zip")
