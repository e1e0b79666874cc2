import numpy as np
import pandas as pd
import pytest
from made_up import CODES, PROBABILITIES, make_predictions, point_measures

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.intervals import score_images
from lesions.evaluation.metrics import MEASURES
from lesions.evaluation.subgroups import (
    SUBGROUPS,
    age_bands,
    fill_unknown,
    score_leakage,
    score_subgroups,
)

CONFIG = BootstrapConfig(n_resamples=100)


@pytest.fixture
def table():
    labels, probabilities, lesions = make_predictions()
    rng = np.random.default_rng(8)
    made = pd.DataFrame(probabilities, columns=list(PROBABILITIES))
    made = made.assign(label=labels, lesion_id=lesions, unit=lesions)
    for column, names, shares in (
        ("sex", ["male", "female", "unknown"], [0.5, 0.48, 0.02]),
        ("age_band", ["unknown", "75+", "0–29"], [0.3, 0.2, 0.5]),
        ("localization", ["back", "face"], [0.2, 0.8]),
        ("dx_type", ["histo"], [1]),
    ):
        made[column] = rng.choice(names, size=len(made), p=shares)
    return made


def test_a_band_includes_its_lower_edge_and_a_missing_age_is_unknown():
    ages = pd.Series([0, 29, 30, 44, 45, 59, 60, 74, 75, 120, np.nan])
    assert age_bands(ages).tolist() == [
        "0–29", "0–29", "30–44", "30–44", "45–59", "45–59", "60–74", "60–74", "75+", "75+",
        "unknown",
    ]  # fmt: skip


def test_ages_as_text_and_all_missing_have_bands():
    assert age_bands(pd.Series(["50.0", ""])).tolist() == ["45–59", "unknown"]
    assert age_bands(pd.Series([np.nan, np.nan])).tolist() == ["unknown", "unknown"]


def test_missing_and_empty_values_are_unknown():
    assert fill_unknown(pd.Series(["back", None, ""])).tolist() == ["back", "unknown", "unknown"]


def test_a_large_group_is_scored_and_a_small_one_is_only_counted(table):
    sex = score_subgroups(table, CONFIG, min_group_size=30)["sex"]
    assert set(sex["groups"]) == {"male", "female"}
    assert sex["too_small"] == {"unknown": (table["sex"] == "unknown").sum()}
    rows = table[table["sex"] == "male"]
    male = sex["groups"]["male"]
    assert list(male) == ["n_images", "n_lesions", "classes", *MEASURES]
    assert (male["n_images"], male["n_lesions"]) == (len(rows), rows["lesion_id"].nunique())
    points, _ = point_measures(rows["label"].to_numpy(), rows[list(PROBABILITIES)].to_numpy())
    assert {name: male[name]["value"] for name in MEASURES} == points


def test_the_worst_group_has_the_lowest_balanced_accuracy(table):
    localization = score_subgroups(table, CONFIG, min_group_size=30)["localization"]
    scores = {k: row["balanced_accuracy"]["value"] for k, row in localization["groups"].items()}
    worst = min(scores, key=lambda name: scores[name])
    assert localization["worst"] == {"group": worst, "balanced_accuracy": scores[worst]}


def test_a_single_group_is_not_the_worst_and_groups_are_in_order(table):
    subgroups = score_subgroups(table, CONFIG, min_group_size=30)
    assert list(subgroups) == list(SUBGROUPS)
    assert subgroups["dx_type"]["worst"] is None
    assert list(subgroups["localization"]["groups"]) == ["face", "back"]  # from frequent to rare
    assert list(subgroups["age_band"]["groups"]) == ["0–29", "75+", "unknown"]  # young to old


def test_a_column_of_which_nothing_is_known_has_no_groups(table):
    sex = score_subgroups(table.assign(sex="unknown"), CONFIG, min_group_size=30)["sex"]
    assert sex == {"groups": {}, "too_small": {}, "worst": None}


def test_a_groups_means_are_over_the_classes_in_it(table):
    nevi = table[table["label"] == 5].assign(dx_type="follow_up")
    table = pd.concat([table[table["label"] != 5], nevi])
    groups = score_subgroups(table, CONFIG, min_group_size=30)["dx_type"]["groups"]
    assert groups["follow_up"]["classes"] == ["nv"]
    found = np.mean(nevi[list(PROBABILITIES)].to_numpy().argmax(axis=1) == 5)
    assert groups["follow_up"]["balanced_accuracy"]["value"] == pytest.approx(found)
    assert groups["follow_up"]["roc_auc_macro"]["value"] is None
    assert groups["histo"]["classes"] == ["akiec", "bcc", "bkl", "df", "mel", "vasc"]


def test_images_with_and_without_leakage_are_scored_apart(table):
    table["lesion_in_training"] = table["group_in_training"] = np.arange(len(table)) % 3 == 0
    leakage = score_leakage(table, CONFIG, min_group_size=30)
    assert list(leakage) == ["lesion", "group"]
    for side, rows in (
        ("in_training", table[::3]),
        ("not_in_training", table.drop(table.index[::3])),
    ):
        expected, classes = score_images(
            rows["label"].to_numpy(),
            rows[list(PROBABILITIES)].to_numpy(),
            rows["lesion_id"].to_numpy(),
            CONFIG,
            codes=CODES,
        )
        scores = leakage["lesion"][side]
        assert scores.pop("classes") == list(CODES)
        assert scores.pop("n_images") == len(rows)
        assert scores.pop("n_lesions") == rows["lesion_id"].nunique()
        assert scores.pop("sensitivity") == {dx: classes[dx]["sensitivity"] for dx in CODES}
        assert scores == expected


def test_a_side_without_images_is_none_and_a_small_one_is_only_counted(table):
    table["lesion_in_training"] = False
    table["group_in_training"] = table.index < 5
    leakage = score_leakage(table, CONFIG, min_group_size=30)
    assert leakage["lesion"]["in_training"] is None
    assert leakage["lesion"]["not_in_training"]["n_images"] == len(table)
    assert leakage["group"]["in_training"] == {
        "n_images": 5, "n_lesions": table["lesion_id"][:5].nunique(), "too_small": True,
    }  # fmt: skip


def test_without_training_images_there_is_no_leakage_to_score(table):
    assert score_leakage(table, CONFIG, min_group_size=30) is None
