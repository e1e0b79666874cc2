"""Words and tables for people; the comparison itself is tested in tests/evaluation."""

import pandas as pd
import pytest
from made_up_study import make_settings

from lesions.evaluation.comparison import compare_models
from lesions.report.captions import CAVEATS, DISCLAIMER
from lesions.report.values import in_prose, in_text, interval, score
from lesions.report.wording import (
    VALIDATION,
    describe_differences,
    describe_run,
    keeps_random_weights,
    list_resolutions,
    name_network,
    to_markdown,
)

BRACKETED = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")


def scores(**changes):
    """0.5 for every measure but the changed ones, and bounds 0.1 below and above."""
    measures = [name for name in compare_models({}).columns if name.endswith(("_macro", "hted"))]
    found = dict.fromkeys([*measures, "accuracy", "balanced_accuracy"], 0.5) | changes
    bounds = {"low": -0.1, "high": 0.1}
    return found | {f"{m}_{b}": found[m] + far for b, far in bounds.items() for m in BRACKETED}


def test_markdown_shows_intervals_triples_and_a_dash_for_none():
    measured = scores(accuracy=0.7192, precision_macro=0.534, recall_macro=0.516, f1_macro=0.52)
    measured |= {"roc_auc_macro": None}
    rows = [
        {"model": "cnn", "source": "measured", "n_images": 10, "n_diagnoses": 7} | measured,
        {"model": "cnn", "source": "on isic", "n_images": 4, "n_diagnoses": 5} | measured,
        {"model": "cnn", "source": "published", "n_images": 2003, "accuracy": 0.72},
    ]
    rows[1]["only_predicted"] = "df"
    table = pd.DataFrame(rows).astype({"n_images": "Int64", "n_diagnoses": "Int64"})
    text = to_markdown(table, note="Synthetic.", n_classes=7)
    assert text.splitlines()[2:] == [
        "| cnn | measured | 10 | 0.719 (0.619–0.819) | 0.500 (0.400–0.600) | 0.53 / 0.52 / 0.52 | "
        "0.50 / 0.50 / 0.50 | – |",
        "| cnn (predicts only df) | on isic | 4 (5 of 7 diagnoses) | 0.719 (0.619–0.819) | "
        "0.500 (0.400–0.600) | 0.53 / 0.52 / 0.52 | 0.50 / 0.50 / 0.50 | – |",
        "| cnn | published | 2003 | 0.72 | – | – / – / – | – / – / – | – |",
        "",
        "Synthetic.",
    ]


def difference(value, low, high):
    return {"difference": value, "low": low, "high": high, "real": low > 0 or high < 0}


def test_clear_differences_name_the_better_model_first():
    pairs = [
        ("cnn", "vgg16", difference(-0.2, -0.3, -0.1)),
        ("cnn", "new", difference(0.1, -0.1, 0.3)),
    ]
    text = describe_differences(
        [{"model": a, "other": b, "measures": {"balanced_accuracy": d}} for a, b, d in pairs]
    )
    assert text == (
        "Differences in balanced accuracy whose CI excludes 0: vgg16 over cnn by 0.20 (0.10 to "
        "0.30). Inconclusive: cnn and new. One training run per model; not corrected for multiple "
        "comparisons."
    )


@pytest.mark.parametrize(
    ("weights", "trainable", "is_said"),
    [
        ("random", "head", True),
        ("random", "last_3", True),
        ("random", "all", False),  # then they are initial weights
        ("imagenet", "head", False),
    ],
)
def test_random_layers_that_are_never_trained_are_named(weights, trainable, is_said):
    settings = {"weights": weights, "trainable": trainable}
    assert keeps_random_weights(settings) is is_said
    assert not keeps_random_weights({"filters": [32]})


def test_a_network_of_keras_has_its_own_name():
    assert name_network({"architecture": "applications", "network": "VGG16"}) == "VGG16"
    assert name_network({"architecture": "cnn"}) == "cnn"


def test_what_a_reader_must_know_is_below_the_table():
    classes = {dx: {"n_images": n} for dx, n in {"akiec": 0, "mel": 30, "nv": 90}.items()}
    details = {
        "cnn": {
            "study": {"classes": classes, "bootstrap": {"unit": "lesion"}, "has_lesion_ids": True}
        }
    }
    settings = make_settings()
    assert describe_run(details, [], settings=settings) == (
        "Profile demo, split by group. Brackets: 95 % bootstrap CI, resampled by lesion. "
        "Majority-class baseline (nv): accuracy 0.750, balanced accuracy 0.500. Models on a "
        f"backbone with random weights: vgg16. {CAVEATS['synthetic']} {DISCLAIMER}"
    )
    settings["sets"]["study"]["source"]["kind"] = "folder"
    settings["backbones"]["vgg16"]["weights"] = "imagenet"
    text = describe_run(details, [], settings=settings)
    assert text.endswith(f"balanced accuracy 0.500. {DISCLAIMER}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1956, "1,956"),
        (0.95812, "0.958"),
        (0.001, "0.001"),
        (None, "–"),
        (True, "yes"),
        (["df", 2], "df, 2"),
        ({"n_pairs_found": 3, "rate": 0.5}, "pairs found 3; rate 0.5"),
    ],
)
def test_any_value_of_json_or_of_the_settings_is_written_for_a_person(value, text):
    assert in_text(value) == text


def test_settings_are_written_with_more_digits():
    text = in_text({"ema_momentum": 0.9999, "dense_units": [], "filters": [8, 9]}, 6)
    assert text == "ema momentum 0.9999; dense units none; filters 8, 9"


def test_intervals_with_a_minus_have_a_word_between_their_bounds():
    assert score({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.50 (0.25–0.75)"
    assert interval({"low": -0.25, "high": 0.75}) == "−0.25 to 0.75"
    assert score({"value": 0.5, "low": None, "high": None}) == "0.50"
    assert score({"value": None, "low": None, "high": None}) == "–"


def test_a_list_reads_as_prose():
    assert [in_prose(["a"]), in_prose(["a", "b"]), in_prose(["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def test_a_set_with_another_unit_than_the_study_is_named():
    classes = {"mel": {"n_images": 30}, "nv": {"n_images": 90}}
    sets = {
        name: {"classes": classes, "bootstrap": {"unit": unit}, "has_lesion_ids": unit != "image"}
        for name, unit in (("study", "image"), ("clinic", "lesion"), ("other", "image"))
    }
    text = describe_run({"cnn": sets}, [], settings=make_settings())
    assert "resampled by image; on clinic by lesion. The metadata have no lesion ids" in text


def test_the_table_says_which_images_were_not_scored_and_why():
    classes = {"mel": {"n_images": 30}, "nv": {"n_images": 90}}
    scored = {"classes": classes, "bootstrap": {"unit": "lesion"}, "has_lesion_ids": True}
    unscored = {"partition": None, "says": "Not scored: the reason.", **scored}
    for sets, words in (
        (
            {"study": {"partition": "val", **scored}, "clinic": unscored},
            f"{VALIDATION} clinic was not",
        ),
        (
            {"study": unscored, "clinic": {"partition": "test", **scored}},
            " study was not scored: the",
        ),
    ):
        text = describe_run({"cnn": sets}, [], settings=make_settings())
        assert words in text
        assert "Majority-class baseline (nv): accuracy 0.750" in text


def test_photographs_have_the_sizes_at_which_models_are_given_them():
    settings = make_settings()
    assert list_resolutions(settings) == "32 × 32 px"
    settings["models"]["cnn"] |= {"inputs": "raw", "input_pixels": 224}
    assert list_resolutions(settings) == "32 × 32 or 224 × 224 px"
    del settings["models"]["vgg16"]
    assert list_resolutions(settings) == "224 × 224 px"
