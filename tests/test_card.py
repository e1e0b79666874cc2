import copy
import json
import re
import runpy
import sys
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pytest
import yaml

from lesions.calibration import calibrate, calibration_part
from lesions.card import count_leaked, count_proofs, find_missed, find_weakest, render, sum_up_ages
from lesions.cohort import make_cohort
from lesions.comparison import compare_models, in_short
from lesions.evaluation import evaluate, gather_test
from lesions.exploration import describe_cohort
from lesions.tables import to_json
from lesions.taxonomy import CODES, LABELS, NOT_A_MEDICAL_DEVICE, PROBABILITIES

ROOT = Path(__file__).parents[1]
TEMPLATE = (ROOT / "templates/model_card.md.j2").read_text(encoding="utf-8")
MODELS = ("cnn", "vgg16")
AUDIT = {"n_pairs_across_lesions": 1234, "recall_within_lesions": 0.958}


def predict(labels, *, skill, seed):
    """Give a made-up model's predictions: half is training, a fifth calibration, the rest test."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), 7))
    logits[np.arange(len(labels)), labels["label"]] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = labels[["image_id", "partition", "label"]].copy()
    table[list(PROBABILITIES)] = probabilities.round(6)
    return table[table["partition"] != "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def whole_study():
    """All inputs of the card, by the code that makes them, of a cohort without photographs."""
    labels = make_cohort(500, seed=1)
    labels["label"] = labels["dx"].map(LABELS)
    parts = dict(enumerate(["train"] * 5 + ["cal"] * 2 + ["test"] * 3))
    labels["partition"] = (labels["lesion_id"].factorize()[0] % 10).astype(int)
    labels["partition"] = labels["partition"].map(parts)
    # Photograph by photograph every seventh, so that some test lesions are trained on.
    labels.loc[::7, "partition"] = "test"
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    options = {"min_group_size": 30, "n_resamples": 100, "confidence": 0.95}
    options |= {"calibration_bins": 15, "seed": 42}

    calibrations, evaluations, details = {}, {}, {}
    for seed, model in enumerate(MODELS):
        predictions = predict(labels, skill=1 + 1.5 * seed, seed=seed)
        part = calibration_part(predictions, labels, groups)
        calibration = calibrate(part, method="temperature", coverage=0.9, seed=42)
        table = gather_test(predictions, labels, groups=groups, partitions=labels)
        headline, all_else = evaluate(table, calibration=calibration, **options)
        calibrations[model] = calibration
        evaluations[model] = {"measured": _written(headline)}
        details[model] = {"measured": _written(all_else)}
    difference = {"difference": -0.2, "low": -0.25, "high": -0.15, "real": True}
    pair = {"model": "cnn", "other": "vgg16", "measures": {"balanced_accuracy": difference}}
    counts = labels["partition"].value_counts()
    return {
        "labels": labels,
        "cohort": describe_cohort(labels),
        "calibrations": calibrations,
        "evaluations": evaluations,
        "details": details,
        "comparison": in_short(compare_models(evaluations, details)),
        "differences": {"pairs": [pair]},
        "split": {
            f"n_{part}": int(counts.get(part, 0)) for part in ("train", "val", "cal", "test")
        },
        "audit": AUDIT,
    }


def _written(scores):
    return json.loads(to_json(scores, decimals=4))


@pytest.fixture
def study(whole_study):
    """The inputs, free to be changed."""
    return copy.deepcopy(whole_study)


@pytest.fixture
def settings():
    found = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    found["models"] = {name: found["models"][name] for name in MODELS}
    return found


def table_below(card, heading):
    """Give the cells of the first table after a line that holds `heading`."""
    rows = card[card.index(heading) :].split("\n|", 1)[1].split("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows.split("\n")
    ]


def test_the_first_thing_on_a_demonstrations_card_is_that_its_scores_mean_nothing(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    assert card.index("scores\n> mean nothing clinically") < card.index("## What it is")
    assert card.index(NOT_A_MEDICAL_DEVICE) < card.index("## What it is")
    assert "500 synthetic photographs of" in card


def test_the_card_of_ham10000_says_where_it_is_from_and_whose_skin_it_shows(study, settings):
    settings["data"]["source"], settings["profile"] = "folder", "ham10000"
    card = render(TEMPLATE, study, settings=settings)
    for words in ("Vienna", "Queensland", "name no skin type", "mostly light skin"):
        assert words in card
    assert "synthetic" not in card.lower()


def test_the_card_of_a_users_own_photographs_claims_nothing_about_them(study, settings):
    settings["data"]["source"], settings["profile"] = "folder", "mine"
    card = render(TEMPLATE, study, settings=settings)
    assert "a folder that the user of this pipeline brought" in card
    for words in ("Vienna", "mostly light skin", "synthetic"):
        assert words not in card


def test_a_model_that_predicts_one_diagnosis_alone_is_said_to(study, settings):
    assert "predicts only" not in render(TEMPLATE, study, settings=settings)
    matrix = study["details"]["vgg16"]["measured"]["confusion"]
    for dx, row in matrix.items():
        matrix[dx] = dict.fromkeys(row, 0) | {"df": sum(row.values())}
    table = table_below(render(TEMPLATE, study, settings=settings), "### All models")
    assert [row[0] for row in table][-2:] == ["cnn", "vgg16 (predicts only df)"]


def test_every_model_has_its_scores_with_intervals_as_the_comparison_has_them(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    rows = {row[0]: row for row in table_below(card, "### All models")}
    for model in MODELS:
        found = study["comparison"][model]["measured"]["balanced_accuracy"]
        expected = "{value:.3f} ({low:.3f}–{high:.3f})".format(**found)
        assert rows[model][5] == expected
        n_images = study["evaluations"][model]["measured"]["n_images"]
        assert rows[model][1] == f"{n_images:,}"
    # The pair's difference is of cnn minus vgg16.
    assert "vgg16 over cnn by 0.20 (0.15 to 0.25)" in card


def test_every_diagnosis_of_every_model_has_a_row(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    section = card[card.index("### By diagnosis") : card.index("### Is it melanoma?")]
    for model in MODELS:
        classes = study["details"][model]["measured"]["classes"]
        rows = table_below(section, f"**{model}**")
        assert [row[0] for row in rows[2:]] == list(CODES)
        mel = classes["mel"]["sensitivity"]
        assert rows[2 + LABELS["mel"]][3] == "{value:.2f} ({low:.2f}–{high:.2f})".format(**mel)


def test_every_row_of_every_table_has_as_many_cells_as_its_head(study, settings):
    settings["models"]["vgg16"]["backbone"]["weights"] = "weights|of mine.h5"
    settings["data"]["external"] = {"isic2018": "elsewhere"}
    for model in MODELS:
        study["comparison"][model]["on isic2018"] = study["comparison"][model]["measured"]
    card = render(TEMPLATE, study, settings=settings)
    tables = re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE)
    assert len(tables) > 12
    for table in tables:
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert len(set(cells)) == 1, table
        assert set(table.splitlines()[1]) <= set("|-: "), table
        assert len(cells) > 2, table
    # A table that did not begin a paragraph would be shown as text.
    for place in re.finditer(r"^\|.*\n\| ?-", card, flags=re.MULTILINE):
        assert card[: place.start()].endswith("\n\n")


def test_no_placeholder_and_no_python_is_left_in_the_text(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    assert not re.findall(r"\{\{|\{%|\bNone\b(?! of)|\bnan\b|dtype|Undefined|\{'|\[\]", card)
    assert "\n\n\n\n" not in card


def test_subgroups_name_the_worst_and_those_too_small(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    section = card[card.index("### By subgroup") : card.index("### Test images of lesions")]
    found = study["details"]["cnn"]["measured"]["subgroups"]
    worst = found["sex"]["worst"]
    said = f"Lowest balanced accuracy by sex: {worst['group']}, {worst['balanced_accuracy']:.2f} ("
    assert said in section
    group, n_images = next(iter(found["localization"]["too_small"].items()))
    assert f"{group} ({n_images})" in section


def test_leakage_stands_side_by_side(study, settings):
    study["details"]["vgg16"]["measured"]["leakage"]["group"] = {
        "in_training": None,
        "not_in_training": {"n_images": 7, "n_lesions": 7, "too_small": True},
    }
    card = render(TEMPLATE, study, settings=settings)
    rows = table_below(card, "### Test images of lesions that were trained on")[2:]
    assert [row[:3] for row in rows[:2]] == [
        ["cnn", "lesion", "in training"],
        ["cnn", "lesion", "not in training"],
    ]
    shared = study["details"]["cnn"]["measured"]["leakage"]["lesion"]["in_training"]["n_images"]
    n_test = study["split"]["n_test"]
    said = f"{shared} of {n_test} test images show a lesion that is also in the training part"
    assert said in card
    assert rows[-2][3:] == ["0", "–", "–"]
    assert rows[-1][3:] == ["7", "too few", "too few"]


def test_calibration_and_sets_are_told(study, settings):
    card = render(TEMPLATE, study, settings=settings)
    calibration = study["calibrations"]["cnn"]
    assert f"temperature {calibration['temperature']:.2f}, fitted on" in card
    assert "sets that should hold the diagnosis in 90 % of images" in card
    found = study["details"]["cnn"]["measured"]["calibration"]
    before = "{value:.3f} ({low:.3f}–{high:.3f})".format(**found["before"]["calibration_error"])
    assert f"| cnn | raw | {before} |" in card


def test_without_a_calibration_part_the_card_says_so(study, settings):
    reason = "not calibrated: the split sets no images aside for it"
    study["split"]["n_cal"] = study["split"]["n_val"] = 0
    for model in MODELS:
        found = study["details"][model]["measured"]
        found["calibration"] |= {"after": None, "temperature": None, "says": reason}
        found |= {"conformal": None, "probabilities": "not calibrated"}
        nothing = {"calibrated": False, "reason": reason, "temperature": None, "conformal": None}
        study["calibrations"][model] = nothing
    card = render(TEMPLATE, study, settings=settings)
    # Of each of the two models, and of the prediction sets.
    assert card.count(f": {reason}.") == 3
    assert "None of the models has any" in card
    assert "empty: the last epoch is kept" in card
    assert "No calibration part" in card


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("image", "That flatters the models"),
        ("lesion", "Near-duplicates under other"),
        ("group", "near-duplicates that the audit found"),
        ("column", "column `partition_c` says"),
    ],
)
def test_the_split_is_told_in_words(study, settings, by, words):
    settings["split"] |= {"by": by, "column": "partition_c"}
    assert words in render(TEMPLATE, study, settings=settings)


def test_a_fold_is_named(study, settings):
    settings["split"] |= {"folds": 5, "fold": 2}
    card = render(TEMPLATE, study, settings=settings)
    assert "The test part is fold 3 of 5." in card
    assert "one in 5 is tested on" in card


def test_what_is_not_defined_is_a_dash(study, settings):
    nothing = {"value": None, "low": None, "high": None}
    study["details"]["cnn"]["measured"]["classes"]["df"]["ppv"] = nothing
    card = render(TEMPLATE, study, settings=settings)
    rows = table_below(card[card.index("### By diagnosis") :], "**cnn**")
    assert rows[2 + LABELS["df"]][5] == "–"


def test_a_number_that_is_missing_stops_the_card(study, settings):
    del study["details"]["cnn"]["measured"]["questions"]["melanoma"]["roc_auc"]
    with pytest.raises(jinja2.UndefinedError, match="roc_auc"):
        render(TEMPLATE, study, settings=settings)


def test_hostile_text_stays_in_its_cell(study, settings):
    subgroups = study["details"]["cnn"]["measured"]["subgroups"]["localization"]
    row = next(iter(subgroups["groups"].values()))
    subgroups |= {"groups": {"a|b\n<script>": row}, "worst": None}
    card = render(TEMPLATE, study, settings=settings)
    assert "| site | a\\|b &lt;script> |" in card


def test_proofs_are_counted_by_diagnosis():
    labels = pd.DataFrame(
        {
            "lesion_id": ["a", "a", "b", "c"],
            "dx": ["nv", "nv", "nv", "mel"],
            "dx_type": ["follow_up", "follow_up", None, "histo"],
        }
    )
    table = count_proofs(labels)
    assert list(table.columns) == ["n_images", "n_lesions", "follow_up", "histo", "unknown"]
    assert table.loc["nv"].tolist() == [3, 2, 2, 0, 1]
    assert table.loc["df"].tolist() == [0, 0, 0, 0, 0]
    assert table.loc["all"].tolist() == [4, 3, 2, 1, 1]


def test_ages_are_summed_up():
    ages = pd.DataFrame({"age": ["25", "30", "55", "60", "unknown"], "n_images": [1, 2, 3, 4, 5]})
    assert sum_up_ages(ages) == {"under_30": 1, "middle": 5, "from_60": 4, "unknown": 5}


def test_leaked_images_are_counted_or_said_to_be_unknown():
    assert count_leaked({"lesion": {"in_training": {"n_images": 7}}}) == 7
    assert count_leaked({"lesion": {"in_training": None}}) == 0
    assert count_leaked(None) is None


def test_the_weakest_diagnosis_is_one_that_has_images():
    def row(value, n_images=5):
        return {"n_images": n_images, "sensitivity": {"value": value}}

    assert find_weakest({"nv": row(0.9), "mel": row(0.4), "df": row(None, 0)}) == ["mel"]
    assert find_weakest({"nv": row(0.4), "mel": row(0.4), "bcc": row(0.5)}) == ["nv", "mel"]
    assert find_weakest({"df": row(None, 0)}) == []


def test_missed_melanomas_are_counted_in_words(study, settings):
    found = study["details"]["cnn"]["measured"]
    row = found["confusion"]["mel"]
    n_images = sum(row.values())
    assert n_images > row["mel"] > 0
    card = render(TEMPLATE, study, settings=settings)
    assert (
        f"Of {n_images} photographs of melanoma it takes {n_images - row['mel']} for something "
        f"else, {row['nv']} of them for a naevus."
    ) in card


def test_calibration_images_that_calibrated_nothing_are_called_unused(study, settings):
    for calibration in study["calibrations"].values():
        calibration |= {"calibrated": False, "reason": "not calibrated: too few"}
    card = render(TEMPLATE, study, settings=settings)
    assert "| cal | unused: not calibrated: too few |" in card


def test_a_missed_promise_is_one_whose_whole_interval_lies_below():
    highs = {"nv": 0.95, "mel": 0.89, "df": None}
    sets = {"classes": {dx: {"coverage": {"high": high}} for dx, high in highs.items()}}
    assert find_missed(sets, 0.9) == ["mel"]


def test_the_stage_writes_the_card_from_files(study, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    flags = {"evaluations": "evaluation", "details": "details", "calibrations": "calibration"}
    for name, folder in flags.items():
        Path(folder).mkdir()
        for model in MODELS:
            found = study[name][model]
            text = json.dumps(found.get("measured", found))
            Path(folder, f"{model}.json").write_text(text, encoding="utf-8")
    for name in ("comparison", "differences", "split", "audit"):
        flags[name] = f"{name}.json"
        Path(flags[name]).write_text(json.dumps(study[name]), encoding="utf-8")
    Path("cohort").mkdir()
    for name, table in study["cohort"].items():
        table.to_csv(f"cohort/{name}.csv", index=False)
    study["labels"].to_csv("labels.csv", index=False)
    flags |= {"cohort": "cohort", "labels": "labels.csv", "card": "MODEL_CARD.md"}
    flags["template"] = str(ROOT / "templates/model_card.md.j2")
    argv = [word for name, value in flags.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["card.py", *argv])
    runpy.run_path(str(ROOT / "stages/card.py"), run_name="__main__")
    assert Path("MODEL_CARD.md").read_text(encoding="utf-8") == render(
        TEMPLATE, study, settings=settings
    )


def test_how_the_photographs_were_decoded_is_part_of_what_the_models_are(study, settings):
    settings["resize"]["decode"] = "reduced"
    assert "decoded at a smaller scale" in render(TEMPLATE, study, settings=settings)
    settings["resize"]["decode"] = "full"
    assert "decoded at a smaller scale" not in render(TEMPLATE, study, settings=settings)
