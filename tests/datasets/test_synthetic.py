import cv2
import numpy as np
import pandas as pd
import pytest
from made_up import CODES
from photographs import draw_photograph

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.synthetic.cohort import make_cohort
from lesions.datasets.synthetic.dataset import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESIONS_WORKERS", "2")
        return folder, write_dataset(folder, n_images=60, seed=5)


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


def test_the_metadata_file_is_the_table_that_is_returned(dataset):
    folder, cohort = dataset
    written = pd.read_csv(folder / "HAM10000_metadata.csv")
    assert tuple(written.columns) == COLUMNS
    pd.testing.assert_frame_equal(written, cohort)
    assert cohort.equals(make_cohort(60, seed=5))


def test_a_missing_age_is_an_empty_cell(dataset):
    folder, cohort = dataset
    lines = (folder / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    empty = [line.split(",")[COLUMNS.index("age")] == "" for line in lines]
    assert empty == list(cohort["age"].isna())
    assert any(empty)


def test_every_row_has_one_file_and_the_first_half_is_in_the_first_folder(dataset):
    folder, cohort = dataset
    for number, ids in ((1, cohort["image_id"][:30]), (2, cohort["image_id"][30:])):
        found = sorted(path.stem for path in (folder / f"HAM10000_images_part_{number}").iterdir())
        assert found == list(ids)


def test_every_file_is_a_jpeg_of_450_by_600_pixels(dataset):
    folder, _ = dataset
    for path in folder.glob("*/*"):
        assert path.suffix == ".jpg"
        assert path.read_bytes()[:2] == b"\xff\xd8"
        assert cv2.imread(str(path)).shape == (450, 600, 3)


def test_no_two_files_are_alike(dataset):
    folder, _ = dataset
    assert len({path.read_bytes() for path in folder.glob("*/*")}) == 60


def test_the_number_of_threads_changes_no_byte(dataset, tmp_path, monkeypatch):
    folder, _ = dataset
    monkeypatch.setenv("LESIONS_WORKERS", "1")
    write_dataset(tmp_path, n_images=60, seed=5)
    one, two = files(tmp_path), files(folder)
    assert one.keys() == two.keys()
    assert all(one[name].read_bytes() == two[name].read_bytes() for name in one)


def test_opencv_keeps_its_number_of_threads(tmp_path):
    before = cv2.getNumThreads()
    write_dataset(tmp_path, n_images=56, seed=5)
    assert cv2.getNumThreads() == before
