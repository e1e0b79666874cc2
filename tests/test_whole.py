import pytest

from lesions.whole import replacing, scratch


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_new_folder_takes_the_old_ones_place_at_the_end(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old").touch()
    with replacing(tmp_path / "raw") as new:
        (new / "made").touch()
        assert names(tmp_path) == ["raw", "raw.new", "raw.new/made", "raw/old"]
    assert names(tmp_path) == ["raw", "raw/made"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_what_was_there(tmp_path, error):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old").touch()

    def break_off():
        with replacing(tmp_path / "raw") as new:
            (new / "made").touch()
            raise error

    with pytest.raises(error):
        break_off()
    assert names(tmp_path) == ["raw", "raw/old"]


def test_what_a_killed_process_left_is_no_part_of_the_next(tmp_path):
    (tmp_path / "raw.new").mkdir()
    (tmp_path / "raw.new" / "half").touch()
    with replacing(tmp_path / "raw") as new:
        (new / "made").touch()
    assert names(tmp_path) == ["raw", "raw/made"]


def test_of_a_link_only_the_link_is_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photograph").touch()
    (tmp_path / "raw").symlink_to(tmp_path / "mine")
    with replacing(tmp_path / "raw"):
        pass
    assert names(tmp_path) == ["mine", "mine/photograph", "raw"]
    assert not (tmp_path / "raw").is_symlink()


def test_a_scratch_folder_lies_beside_and_is_gone_afterwards(tmp_path):
    with scratch(tmp_path / "raw") as folder:
        assert folder.parent == tmp_path
        (folder / "link").symlink_to(tmp_path)
    assert names(tmp_path) == []
