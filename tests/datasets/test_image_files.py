import pytest

from lesions.datasets.image_files import find_images, list_images


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_are_found_by_name_in_any_subfolder(tmp_path):
    touch(tmp_path, "c.jpg", "deep/down/a.JPG", "part/b.jpeg", "readme.txt", "part/d.gif")
    assert find_images(tmp_path) == {"a": "deep/down/a.JPG", "b": "part/b.jpeg", "c": "c.jpg"}
    assert list(find_images(str(tmp_path))) == ["a", "b", "c"]


def test_all_formats_are_found_in_any_case(tmp_path):
    names = ["a.jfif", "b.PNG", "c.tif", "d.Tiff", "e.bmp", "f.WebP", "g.JPG"]
    touch(tmp_path, *names)
    assert list(find_images(tmp_path).values()) == names


def test_hidden_files_archives_and_those_of_macos_are_skipped(tmp_path):
    touch(tmp_path, "a.jpg", "._a.jpg", ".trash/b.jpg", "__MACOSX/c.jpg", "d.zip")
    assert find_images(tmp_path) == {"a": "a.jpg"}


def test_a_folder_linked_into_itself_is_visited_once(tmp_path):
    touch(tmp_path, "part/a.jpg")
    (tmp_path / "part" / "again").symlink_to(tmp_path)
    assert find_images(tmp_path) == {"a": "part/a.jpg"}


def test_two_files_of_one_image_are_refused_but_listed(tmp_path):
    touch(tmp_path, "one/a.jpg", "two/a.jpeg", "b.jpg")
    message = r"1 of 2 images have several files, first a: one/a\.jpg and two/a\.jpeg; delete"
    with pytest.raises(ValueError, match=message):
        find_images(tmp_path)
    assert [image.image_id for image in list_images(tmp_path)] == ["b", "a", "a"]


def test_folders_and_links_named_like_images_are_refused(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").symlink_to("gone")
    message = r"2 of 2 paths named like an image are not files, first a\.jpg, a folder;"
    with pytest.raises(ValueError, match=message):
        find_images(tmp_path)
    (tmp_path / "a.jpg").rmdir()
    message = r"1 of 1 paths .* are not files, first b\.jpg, a broken link; .*pull'"
    with pytest.raises(ValueError, match=message):
        find_images(tmp_path)


def test_a_missing_folder_or_a_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "archive.zip").touch()
    with pytest.raises(NotADirectoryError, match=r"archive\.zip"):
        find_images(tmp_path / "archive.zip")
