import pytest
from made_up import CODES

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.synthetic.cohort import HAM10000_COUNTS, count_images, make_cohort

# HAM10000's own sites and types of ground truth (Tschandl et al., Sci Data 5:180161, 2018)
SITES = {
    "abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand",
    "lower extremity", "neck", "scalp", "trunk", "unknown", "upper extremity",
}  # fmt: skip
DX_TYPES = {"histo", "follow_up", "consensus", "confocal"}


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(800, seed=3)


@pytest.fixture(scope="module")
def large_cohort():
    return make_cohort(10015, seed=3)


def test_the_columns_are_those_of_ham10000(cohort):
    assert tuple(cohort.columns) == COLUMNS


def test_the_values_are_those_of_ham10000(cohort):
    assert set(cohort["dx"]) == set(CODES)
    assert set(cohort["dx_type"]) <= DX_TYPES
    assert set(cohort["sex"]) == {"male", "female", "unknown"}
    assert set(cohort["localization"]) <= SITES
    ages = cohort["age"].dropna()
    assert (ages % 5 == 0).all()
    assert ages.between(0, 85).all()


def test_identifiers_are_numbered_and_no_real_ones(cohort):
    assert cohort["lesion_id"].str.fullmatch(r"DEMO_L\d{6}").all()
    assert list(cohort["image_id"]) == [f"DEMO_{number:07d}" for number in range(1, 801)]


@pytest.mark.parametrize("n_images", [56, 57, 60, 90, 239, 800, 2000, 10015])
def test_every_image_asked_for_is_in_the_table(n_images):
    assert len(make_cohort(n_images, seed=1)) == n_images


# A tenth of all images, no less than 8, no more than 24: 5.6 → 8, 10, 20, 80 → 24.
@pytest.mark.parametrize(("n_images", "minimum"), [(56, 8), (100, 10), (200, 20), (800, 24)])
def test_no_diagnosis_is_below_its_minimum(n_images, minimum):
    assert min(count_images(n_images).values()) == minimum


def test_the_size_of_ham10000_gives_the_counts_of_ham10000():
    assert count_images(10015) == HAM10000_COUNTS


def test_the_nevus_is_the_most_frequent_from_57_images_on():
    for n_images in (57, 60, 100, 240, 800):
        counts = count_images(n_images)
        assert all(counts["nv"] > n for dx, n in counts.items() if dx != "nv")


def test_every_diagnosis_has_ten_lesions_among_800_images(cohort):
    assert cohort.groupby("dx")["lesion_id"].nunique().min() >= 10


def test_a_lesion_has_one_to_four_photographs(large_cohort):
    assert set(large_cohort["lesion_id"].value_counts()) == {1, 2, 3, 4}


def test_the_photographs_of_a_lesion_share_its_metadata(large_cohort):
    shared = ["dx", "dx_type", "age", "sex", "localization"]
    assert (large_cohort.groupby("lesion_id")[shared].nunique(dropna=False) == 1).all(axis=None)


def test_the_size_of_ham10000_gives_about_its_number_of_lesions(large_cohort):
    # HAM10000: 7,470 lesions for 10,015 images
    assert large_cohort["lesion_id"].nunique() == pytest.approx(7470, rel=0.03)


def test_the_promised_share_of_lesions_lacks_a_value(large_cohort):
    lesions = large_cohort.drop_duplicates("lesion_id")
    unknown = {
        "age": lesions["age"].isna().mean(),
        "sex": (lesions["sex"] == "unknown").mean(),
        "localization": (lesions["localization"] == "unknown").mean(),
    }
    # rounding to whole lesions moves a share by at most half a lesion
    half = 0.5 / len(lesions)
    assert unknown == pytest.approx({"age": 0.006, "sex": 0.006, "localization": 0.02}, abs=half)


def test_the_smallest_cohort_lacks_each_value_once():
    lesions = make_cohort(56, seed=1).drop_duplicates("lesion_id")
    # some 50 lesions: 0.6 % and 2 % of them round to 0 or 1, and at least one is promised
    assert lesions["age"].isna().sum() == 1
    assert (lesions["sex"] == "unknown").sum() == 1
    assert (lesions["localization"] == "unknown").sum() == 1


def test_ages_follow_the_diagnosis(large_cohort):
    mean = large_cohort.groupby("dx")["age"].mean()
    # HAM10000's own means: basal cell carcinoma 66.8 years, nevus 46.5
    assert mean["bcc"] == pytest.approx(66.8, abs=3)
    assert mean["nv"] == pytest.approx(46.5, abs=3)


def test_cancers_are_all_confirmed_by_histology(cohort):
    assert set(cohort.loc[cohort["dx"].isin(["mel", "bcc", "akiec"]), "dx_type"]) == {"histo"}


def test_the_seed_alone_decides():
    assert make_cohort(60, seed=1).equals(make_cohort(60, seed=1))
    assert not make_cohort(60, seed=1).equals(make_cohort(60, seed=2))
