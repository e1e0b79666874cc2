import pytest

from lesions.datasets.atomic import replace_folder, temporary_folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_new_folder_replaces_the_old_one_at_the_end(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old").touch()
    with replace_folder(tmp_path / "raw") as new:
        (new / "made").touch()
        assert names(tmp_path) == ["raw", "raw.new", "raw.new/made", "raw/old"]
    assert names(tmp_path) == ["raw", "raw/made"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_old_folder(tmp_path, error):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old").touch()

    def fail():
        with replace_folder(tmp_path / "raw") as new:
            (new / "made").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["raw", "raw/old"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / "raw.new").mkdir()
    (tmp_path / "raw.new" / "half").touch()
    with replace_folder(tmp_path / "raw") as new:
        (new / "made").touch()
    assert names(tmp_path) == ["raw", "raw/made"]


def test_a_link_is_replaced_and_its_target_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photograph").touch()
    (tmp_path / "raw").symlink_to(tmp_path / "mine")
    with replace_folder(tmp_path / "raw"):
        pass
    assert names(tmp_path) == ["mine", "mine/photograph", "raw"]
    assert not (tmp_path / "raw").is_symlink()


def test_a_temporary_folder_is_beside_the_destination_and_removed_afterwards(tmp_path):
    with temporary_folder(tmp_path / "raw") as folder:
        assert folder.parent == tmp_path
        (folder / "link").symlink_to(tmp_path)
    assert names(tmp_path) == []
