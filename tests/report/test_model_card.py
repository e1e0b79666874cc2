import re
import runpy
import sys
from pathlib import Path

import jinja2
import pandas as pd
import pytest
import yaml
from cloned import ROOT
from made_up import CODES, LABELS
from made_up_study import make_settings, make_study, write_study

from lesions.evaluation.images.choice import NO_TEST_IMAGES, ONLY_TESTED_ON
from lesions.report.captions import DISCLAIMER
from lesions.report.model_card import (
    count_age_bands,
    count_dx_types,
    find_least_sensitive,
    find_undercovered,
    render,
)

TEMPLATE = (ROOT / "templates/model_card.md.j2").read_text(encoding="utf-8")
MODELS = ("cnn", "vgg16")


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def settings():
    return make_settings()


def table_below(card, heading):
    """Cells of the first table after a line that has `heading`."""
    rows = card[card.index(heading) :].split("\n|", 1)[1].split("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows.split("\n")
    ]


def test_a_demonstrations_card_first_says_that_its_scores_mean_nothing(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    assert card.index("The scores have no\n> clinical meaning") < card.index("## Model details")
    assert card.index(DISCLAIMER) < card.index("## Model details")
    assert "480 synthetic photographs of" in card


def test_a_card_says_which_models_read_metadata(study, settings):
    assert "metadata:" not in render(TEMPLATE, study, settings=settings)
    settings["models"]["cnn"]["metadata"] = ["age", "sex"]
    settings["models"]["vgg16"]["metadata"] = []
    card = render(TEMPLATE, study, settings=settings)
    assert "\ncnn also reads metadata: age and sex. It also predicts where they are miss" in card
    assert "vgg16 also" not in card
    assert not any("age, sex" in cell for row in table_below(card, "Model details") for cell in row)


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "folder"},
        {"kind": "kaggle"},
        {"kind": "medmnist"},
        {"kind": "dataverse", "dataset": "ham10000"},
    ],
)
def test_the_card_of_ham10000_names_its_sites_and_whose_skin_it_shows(study, settings, source):
    settings["sets"]["study"]["source"], settings["profile"] = source, "recommended"
    card = render(TEMPLATE, study, settings=settings)
    for words in ("Vienna", "Queensland", "have no skin type", "mostly light skin"):
        assert words in card
    assert "synthetic" not in card.lower()


def test_the_card_of_a_users_own_photographs_claims_nothing_about_them(study, settings):
    settings["sets"]["study"]["source"], settings["profile"] = {"kind": "folder"}, "mine"
    card = render(TEMPLATE, study, settings=settings)
    assert "provided by the user of this pipeline" in card
    for words in ("Vienna", "mostly light skin", "synthetic"):
        assert words not in card


def test_a_model_that_predicts_one_diagnosis_only_is_marked(study, settings):
    assert "predicts only" not in render(TEMPLATE, study, settings=settings)
    study["details"]["vgg16"]["study"]["only_predicted"] = "df"
    table = table_below(render(TEMPLATE, study, settings=settings), "### All models")
    assert [row[0] for row in table][-2:] == ["cnn", "vgg16 (predicts only df)"]


def test_every_model_has_its_scores_with_intervals(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    rows = {row[0]: row for row in table_below(card, "### All models")}
    for model in MODELS:
        details = study["details"][model]["study"]
        found = details["headline"]["balanced_accuracy"]
        assert rows[model][5] == "{value:.3f} ({low:.3f}–{high:.3f})".format(**found)
        assert rows[model][1] == f"{details['n_images']:,}"


def test_differences_are_listed_the_better_model_first(study, settings):
    # The pair's difference is cnn minus vgg16.
    difference = {"difference": -0.2, "low": -0.25, "high": -0.15, "real": True}
    study["differences"]["pairs"][0]["measures"]["balanced_accuracy"] = difference
    assert "vgg16 over cnn by 0.20 (0.15 to 0.25)" in render(TEMPLATE, study, settings=settings)


def test_every_diagnosis_of_every_model_has_a_row(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    section = card[card.index("### By diagnosis") : card.index("### Screening")]
    for model in MODELS:
        classes = study["details"][model]["study"]["classes"]
        rows = table_below(section, f"**{model}**")
        assert [row[0] for row in rows[2:]] == list(CODES)
        mel = classes["mel"]["sensitivity"]
        assert rows[2 + LABELS["mel"]][3] == "{value:.2f} ({low:.2f}–{high:.2f})".format(**mel)


def test_every_row_of_every_table_has_as_many_cells_as_its_header():
    study, settings = make_study(external=("isic2018",)), make_settings(external=("isic2018",))
    settings["backbones"]["vgg16"]["weights"] = "weights|of mine.h5"
    card = render(TEMPLATE, study, settings=settings)
    tables = re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE)
    assert len(tables) > 12
    for table in tables:
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert len(set(cells)) == 1, table
        assert set(table.splitlines()[1]) <= set("|-: "), table
        assert len(cells) > 2, table
    # A table that does not start a paragraph would be shown as text.
    for start in re.finditer(r"^\|.*\n\| ?-", card, flags=re.MULTILINE):
        assert card[: start.start()].endswith("\n\n")
    rows = table_below(card, "### External sets")[2:]
    assert [row[:2] for row in rows] == [["cnn", "isic2018"], ["vgg16", "isic2018"]]


def test_no_placeholder_and_no_python_is_left_in_the_text(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    assert not re.findall(r"\{\{|\{%|\bNone\b|\bnan\b|dtype|Undefined|\{'|\[\]", card)
    assert "\n\n\n\n" not in card


def test_subgroups_have_the_worst_and_those_too_small(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    section = card[card.index("### By subgroup") : card.index("### Leakage")]
    found = study["details"]["cnn"]["study"]["subgroups"]
    worst = found["sex"]["worst"]
    said = f"Lowest balanced accuracy by sex: {worst['group']}, {worst['balanced_accuracy']:.2f} ("
    assert said in section
    group, n_images = next(iter(found["localization"]["too_small"].items()))
    assert f"{group} ({n_images})" in section


def test_a_set_of_which_no_group_is_scored_has_a_sentence_for_the_table(study, settings):
    for sets in study["details"].values():
        sets["study"]["subgroups"]["sex"] = {"groups": {}, "too_small": {}, "worst": None}
    card = render(TEMPLATE, study, settings=settings)
    assert "No group is scored" not in card
    for sets in study["details"].values():
        subgroups = sets["study"]["subgroups"]
        sets["study"]["subgroups"] = dict.fromkeys(subgroups, subgroups["sex"])
    card = render(TEMPLATE, study, settings=settings)
    assert "No group is scored: they are too small, or the metadata of study say nothing" in card
    assert "| by | group |" not in card


def test_leakage_is_shown_side_by_side(study, settings):
    study["details"]["vgg16"]["study"]["leakage"]["group"] = {
        "in_training": None,
        "not_in_training": {"n_images": 7, "n_lesions": 7, "too_small": True},
    }
    card = render(TEMPLATE, study, settings=settings)
    rows = table_below(card, "### Leakage")[2:]
    assert [row[:3] for row in rows[:2]] == [
        ["cnn", "lesion", "in train"],
        ["cnn", "lesion", "not in train"],
    ]
    leaked = study["details"]["cnn"]["study"]["leakage"]["lesion"]["in_training"]["n_images"]
    n_test = study["details"]["cnn"]["study"]["n_images"]
    assert f"{leaked} of {n_test} test images show a lesion that also has training" in card
    assert "in several partitions, calibration included" in card
    assert rows[-2][3:] == ["0", "–", "–"]
    assert rows[-1][3:] == ["7", "too few", "too few"]


def test_without_leaks_none_is_claimed(settings):
    card = render(TEMPLATE, make_study(leaks=False), settings=settings)
    assert "0 of 1" in card
    assert "calibration included" not in card


def test_calibration_and_prediction_sets_are_described(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    calibration = study["calibrations"]["cnn"]
    assert f"temperature {calibration['temperature']:.2f}, fitted on" in card
    assert "sets that should contain the diagnosis of 90 % of images" in card
    found = study["details"]["cnn"]["study"]["calibration"]
    before = "{value:.3f} ({low:.3f}–{high:.3f})".format(**found["before"]["calibration_error"])
    assert f"| cnn | raw | {before} |" in card


def test_without_calibration_images_the_card_says_so(settings):
    study = make_study(calibrated=False)
    partitions = study["partitions"]
    partitions.loc[partitions["partition"].isin(["val", "cal"]), "n_images"] = 0
    reason = study["calibrations"]["cnn"]["reason"]
    card = render(TEMPLATE, study, settings=settings)
    # For each of the two models, and for the prediction sets.
    assert card.count(f": {reason}.") == 3
    assert "No model has any" in card
    assert "empty: the last epoch is kept" in card
    assert "Nothing is calibrated: the probabilities are those of the networks." in card


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"by": "image"}, "scores of such a split are over-optimistic"),
        ({"by": "lesion"}, "near-duplicates with different lesion ids"),
        ({"by": "group"}, "near-duplicates that the audit found"),
        ({"by": "group", "folds": 5, "fold": 2}, "the test partition is fold 3 of 5."),
        ({"by": "group", "folds": 5, "fold": 2}, "one in 5 is for testing"),
    ],
)
def test_the_split_is_described(study, settings, split, words):
    settings["sets"]["study"]["split"] |= split
    assert words in render(TEMPLATE, study, settings=settings).lower()


def test_a_split_by_a_column_has_no_sizes(study, settings):
    settings["sets"]["study"]["split"] = {"by": "column", "column": "partition_c"}
    assert "column `partition_c` assigns" in render(TEMPLATE, study, settings=settings)


def test_what_is_undefined_is_a_dash(study, settings):
    undefined = {"value": None, "low": None, "high": None}
    study["details"]["cnn"]["study"]["classes"]["df"]["ppv"] = undefined
    card = render(TEMPLATE, study, settings=settings)
    rows = table_below(card[card.index("### By diagnosis") :], "**cnn**")
    assert rows[2 + LABELS["df"]][5] == "–"


def test_a_missing_number_stops_the_card(study, settings):
    del study["details"]["cnn"]["study"]["screening"]["mel"]["roc_auc"]
    with pytest.raises(jinja2.UndefinedError, match="roc_auc"):
        render(TEMPLATE, study, settings=settings)


def test_hostile_text_stays_in_its_cell(study, settings):
    subgroups = study["details"]["cnn"]["study"]["subgroups"]["localization"]
    row = next(iter(subgroups["groups"].values()))
    subgroups |= {"groups": {"a|b\n<script>": row}, "worst": None}
    card = render(TEMPLATE, study, settings=settings)
    assert "| localization | a\\|b &lt;script> |" in card


def test_dx_types_are_counted_by_diagnosis():
    labels = pd.DataFrame(
        {
            "lesion_id": ["a", "a", "b", "c"],
            "dx": ["nv", "nv", "nv", "mel"],
            "dx_type": ["follow_up", "follow_up", None, "histo"],
        }
    )
    table = count_dx_types(labels, CODES)
    assert list(table.columns) == ["n_images", "n_lesions", "follow_up", "histo", "unknown"]
    assert table.loc["nv"].tolist() == [3, 2, 2, 0, 1]
    assert table.loc["df"].tolist() == [0, 0, 0, 0, 0]
    assert table.loc["all"].tolist() == [4, 3, 2, 1, 1]


def test_ages_are_counted_in_bands():
    ages = pd.DataFrame({"value": ["25", "30", "55", "60", "unknown"], "n_images": [1, 2, 3, 4, 5]})
    other = pd.DataFrame({"column": ["sex"], "value": ["25"], "n_images": [7]})
    cohort = pd.concat([ages.assign(column="age"), other])
    bands = {"under_30": 1, "from_30_to_59": 5, "from_60": 4, "unknown": 5}
    assert count_age_bands(cohort) == bands


def test_the_least_sensitive_diagnosis_is_one_that_has_images():
    def row(value, n_images=5):
        return {"n_images": n_images, "sensitivity": {"value": value}}

    found = find_least_sensitive({"nv": row(0.9), "mel": row(0.4), "df": row(None, 0)})
    assert found == ["mel"]
    found = find_least_sensitive({"nv": row(0.4), "mel": row(0.4), "bcc": row(0.5)})
    assert found == ["nv", "mel"]
    assert find_least_sensitive({"df": row(None, 0)}) == []


def test_misclassified_melanomas_are_counted(study, settings):
    row = study["details"]["cnn"]["study"]["confusion"]["mel"]
    n_images = sum(row.values())
    assert n_images > row["mel"] > 0
    card = render(TEMPLATE, study, settings=settings)
    wrong = {dx: n for dx, n in row.items() if dx != "mel"}
    most = max(wrong, key=wrong.get)
    assert (
        f"Misclassified photographs of mel: {n_images - row['mel']} of {n_images}, most often as "
        f"{most} ({wrong[most]})."
    ) in card


def test_calibration_images_that_calibrated_nothing_are_called_unused(study, settings):
    for calibration in study["calibrations"].values():
        calibration |= {"calibrated": False, "reason": "not calibrated: too few"}
    card = render(TEMPLATE, study, settings=settings)
    assert "| cal | unused: not calibrated: too few |" in card


def test_a_temperature_of_validation_images_is_on_the_card(settings):
    study = make_study(partitions=("train", "val", "test"), fitted_on="val")
    settings["calibrate"]["partition"] = "val"
    card = render(TEMPLATE, study, settings=settings)
    rows = {row[0]: row[1] for row in table_below(card, "In images:")}
    assert rows["val"] == "choice of the epoch and the temperature"
    assert rows["cal"] == "empty: no prediction sets"
    n_val = study["calibrations"]["cnn"]["n_images"]
    assert f", fitted on {n_val} validation images." in card
    assert "No model has any: they need calibration images." in card
    assert "Nothing is calibrated" not in card


def test_undercovered_is_a_diagnosis_whose_whole_interval_is_below_the_target():
    highs = {"nv": 0.95, "mel": 0.89, "df": None}
    sets = {"classes": {dx: {"coverage": {"high": high}} for dx, high in highs.items()}}
    assert find_undercovered(sets, 0.9) == ["mel"]


def test_the_card_names_what_trained_each_model(study, settings):
    line = "on A CPU, family 1, instruction sets avx2 fma, keras 3.15.1."
    assert f"\nTrained {line}" in render(TEMPLATE, study, settings=settings)
    study["trained_on"]["vgg16"] = {}
    card = render(TEMPLATE, study, settings=settings)
    assert f"\nTrained (cnn) {line}\nTrained (vgg16) on a machine that was not recorded." in card


def test_an_ensemble_is_described_and_scored_and_has_no_row_of_settings():
    models = ("cnn", "both")
    study, settings = make_study(models=models), make_settings(models)
    card = render(TEMPLATE, study, settings=settings)
    text = "the weighted mean of the probabilities of cnn (0.25) and vgg16 (0.75); the weights are"
    assert f"both is an ensemble, {text} those with the smallest cross-entropy on the val" in card
    assert [line for line in card.splitlines() if line.startswith("| both | both |")] == []
    assert card.count("\n| both | ") == card.count("\n| cnn | ") - 1  # the table of settings
    settings["ensembles"]["both"]["weights"] = "equal"
    assert f"{text} equal.\n" in render(TEMPLATE, study, settings=settings)


def test_the_stage_writes_the_card_from_files(study, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the stage sets its own
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    flags = write_study(tmp_path, study)
    for name in ("balance", "contact_sheet", "mistakes"):
        del flags[name]
    flags |= {"template": ROOT / "templates/model_card.md.j2", "card": "MODEL_CARD.md"}
    argv = [text for name, file in flags.items() for text in (f"--{name}", str(file))]
    monkeypatch.setattr(sys, "argv", ["card.py", *argv])
    runpy.run_path(str(ROOT / "stages/card.py"), run_name="__main__")
    assert Path("MODEL_CARD.md").read_text(encoding="utf-8") == render(
        TEMPLATE, study, settings=settings
    )


def test_the_decoding_of_the_photographs_is_part_of_the_description(study, settings):
    settings["resize"]["decode"] = "reduced"
    assert "decoded at reduced scale" in render(TEMPLATE, study, settings=settings)
    settings["resize"]["decode"] = "full"
    assert "decoded at reduced scale" not in render(TEMPLATE, study, settings=settings)


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        (["histo"], "490 of 490 images (100 %) have a diagnosis by histopathology (`histo`)."),
        (["histopathology"], "490 of 490 images (100 %) have a diagnosis by histopathology."),
        (["biopsied"], "490 of 490 images (100 %) have a diagnosis by histopathology."),
        (["consensus"], "No image has a diagnosis by histopathology"),
        ([None], "The metadata do not say how the diagnoses were made."),
    ],
)
def test_diagnoses_by_histopathology_are_counted_whatever_they_are_called(
    study, settings, kinds, says
):
    n_images = len(study["labels"])
    study["labels"]["dx_type"] = kinds * n_images
    assert says.replace("490", str(n_images)) in render(TEMPLATE, study, settings=settings)


def test_photographs_of_unknown_kind_are_not_called_dermatoscopic(study, settings):
    settings["sets"]["study"]["source"] = {"kind": "folder", "path": "a", "extra_images": "refuse"}
    settings["profile"] = "mine"
    card = render(TEMPLATE, study, settings=settings)
    assert "# Model card: seven diagnoses from photographs of skin lesions" in card
    assert "takes one photograph of a skin lesion" in card


@pytest.mark.parametrize(("tta", "words"), [("none", "once, as it is"), ("flips", "of 4 views")])
def test_the_card_says_what_a_prediction_is_of(study, settings, tta, words):
    settings["predict"]["tta"] = tta
    assert words in render(TEMPLATE, study, settings=settings)


def test_while_settings_are_chosen_the_card_is_of_validation_images_alone():
    partitions = ("train", "val", "cal", "test")
    study = make_study(external=("elsewhere",), partitions=partitions, partition="val")
    card = render(TEMPLATE, study, settings=make_settings(external=("elsewhere",), partition="val"))
    assert not re.search("(?<!no )test images?", card)
    assert "On the validation images:" in card
    assert "optimistic, and no test image was scored." in card
    assert f"elsewhere was not{ONLY_TESTED_ON[3:]}" in card
    assert "### External sets" not in card
    n_val = study["partitions"].query("partition == 'val'")["n_images"].sum()
    assert table_below(card, "### All models")[2][1] == str(n_val)
    rows = {row[0]: row[1] for row in table_below(card, "In images:")}
    assert rows["test"] == "not scored while settings are being chosen"
    assert rows["val"] == "choice of the epoch; the scores on this card"


def test_a_study_without_test_images_has_a_card_of_the_set_that_is_tested_on():
    study = make_study(external=("isic2018",), partitions=("train", "val", "cal"))
    card = render(TEMPLATE, study, settings=make_settings(external=("isic2018",)))
    n_images = study["details"]["cnn"]["isic2018"]["n_images"]
    assert f"study was not{NO_TEST_IMAGES[3:]}" in card
    assert "On the test images of isic2018:" in card
    assert table_below(card, "### All models")[2][1] == str(n_images)
    assert "| test | empty: the scores are of other sets | 0 |" in card
    assert "The study itself was not scored." in card


def test_both_decision_rules_are_on_the_card(settings):
    partitions = ("train", "val", "cal", "test")
    study = make_study(partitions=partitions, rule="prior_adjusted")
    card = render(TEMPLATE, study, settings=settings)
    rows = table_below(card, "a power that was chosen on validation images.")[2:]
    assert [row[:3] for row in rows] == [
        [model, "study", rule] for model in MODELS for rule in ("plain", "prior-adjusted")
    ]
    decision = study["details"]["vgg16"]["study"]["decision"]
    assert rows[3][3] == f"{decision['exponent']:.2f}"
    assert rows[3][5].startswith(f"{decision['balanced_accuracy']['value']:.3f} (")
    assert len({len(row) for row in rows}) == 1


def test_the_plain_rule_needs_no_words(study, settings):
    assert "prior-adjusted" not in render(TEMPLATE, study, settings=settings)
