import cv2
import numpy as np
import pandas as pd
import pytest

from lesions.cohort import make_cohort
from lesions.demo import draw_photograph, write_demo
from lesions.taxonomy import CODES, COLUMNS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, write_demo(folder, n_images=60, seed=5, n_workers=2)


def files(folder):
    return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}


def mean_colour(photograph):
    """Mean red, green, blue of the middle of a photograph."""
    height, width = photograph.shape[:2]
    middle = photograph[height // 3 : -height // 3, width // 3 : -width // 3]
    return middle.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize("dx", CODES)
def test_a_photograph_is_rgb_of_450_by_600_pixels(dx):
    photograph = draw_photograph(dx, lesion_seed=1, photo_seed=2)
    assert photograph.shape == (450, 600, 3)
    assert photograph.dtype == np.uint8


def test_a_photograph_has_the_size_asked_for():
    photograph = draw_photograph("nv", lesion_seed=1, photo_seed=2, height=91, width=120)
    assert photograph.shape == (91, 120, 3)


def test_the_same_seeds_give_the_same_pixels():
    first, again = (draw_photograph("mel", lesion_seed=[1, 2], photo_seed=3) for _ in range(2))
    assert np.array_equal(first, again)


def test_another_photo_seed_gives_other_pixels_of_the_same_lesion():
    lesions = [
        [mean_colour(draw_photograph("nv", lesion_seed=n, photo_seed=[n, k])) for k in range(3)]
        for n in range(8)
    ]
    within = np.var(lesions, axis=1).mean()
    between = np.var(np.mean(lesions, axis=1), axis=0).mean()
    assert 0 < within < between


def test_skin_is_redder_than_green_and_greener_than_black():
    corners = [
        draw_photograph("nv", lesion_seed=n, photo_seed=n)[200:250, :40].reshape(-1, 3)
        for n in range(12)
    ]
    red, green, blue = np.median(corners, axis=(0, 1))
    assert red > green > 40
    assert red > blue > 40


def test_an_unknown_diagnosis_is_refused_by_name():
    with pytest.raises(ValueError, match=r"dx must be one of akiec, .* found 'melanoma'"):
        draw_photograph("melanoma", lesion_seed=1, photo_seed=1)


def test_the_metadata_file_is_the_table_that_is_given_back(demo):
    folder, cohort = demo
    written = pd.read_csv(folder / "HAM10000_metadata.csv")
    assert tuple(written.columns) == COLUMNS
    pd.testing.assert_frame_equal(written, cohort)
    assert cohort.equals(make_cohort(60, seed=5))


def test_a_missing_age_is_an_empty_cell(demo):
    folder, cohort = demo
    lines = (folder / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    empty = [line.split(",")[COLUMNS.index("age")] == "" for line in lines]
    assert empty == list(cohort["age"].isna())
    assert any(empty)


def test_every_row_has_one_file_and_the_first_half_lies_in_part_1(demo):
    folder, cohort = demo
    for part, ids in ((1, cohort["image_id"][:30]), (2, cohort["image_id"][30:])):
        found = sorted(path.stem for path in (folder / f"HAM10000_images_part_{part}").iterdir())
        assert found == list(ids)


def test_every_file_is_a_jpeg_of_450_by_600_pixels(demo):
    folder, _ = demo
    for path in folder.glob("*/*"):
        assert path.suffix == ".jpg"
        assert path.read_bytes()[:2] == b"\xff\xd8"
        assert cv2.imread(str(path)).shape == (450, 600, 3)


def test_no_two_files_are_alike(demo):
    folder, _ = demo
    assert len({path.read_bytes() for path in folder.glob("*/*")}) == 60


def test_the_number_of_workers_changes_no_byte(demo, tmp_path):
    folder, _ = demo
    write_demo(tmp_path, n_images=60, seed=5, n_workers=1)
    one, two = files(tmp_path), files(folder)
    assert one.keys() == two.keys()
    assert all(one[name].read_bytes() == two[name].read_bytes() for name in one)


def test_opencv_keeps_its_number_of_threads(tmp_path):
    before = cv2.getNumThreads()
    write_demo(tmp_path, n_images=56, seed=5)
    assert cv2.getNumThreads() == before


def test_what_a_broken_run_left_is_gone_and_other_files_stay(tmp_path):
    for part in (1, 2):
        (tmp_path / f"HAM10000_images_part_{part}").mkdir()
        (tmp_path / f"HAM10000_images_part_{part}" / "ISIC_9999999.jpg").write_text(
            "half a ph", encoding="utf-8"
        )
    (tmp_path / "HAM10000_metadata.csv").write_text("lesion_id,im", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    cohort = write_demo(tmp_path, n_images=56, seed=5)
    assert {path.stem for path in tmp_path.glob("*/*")} == set(cohort["image_id"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "HAM10000_metadata.csv"), cohort)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_linked_file_or_folder_of_the_user_is_not_written_through(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "demo"
    mine.mkdir()
    folder.mkdir()
    (mine / "metadata.csv").write_text("mine", encoding="utf-8")
    (folder / "HAM10000_metadata.csv").hardlink_to(mine / "metadata.csv")
    (folder / "HAM10000_images_part_1").symlink_to(mine)
    write_demo(folder, n_images=56, seed=5)
    assert [path.name for path in mine.iterdir()] == ["metadata.csv"]
    assert (mine / "metadata.csv").read_text(encoding="utf-8") == "mine"


def test_too_few_images_are_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"n_images must be at least 56, .*found 55"):
        write_demo(tmp_path / "small", n_images=55, seed=5)
    assert not (tmp_path / "small").exists()
