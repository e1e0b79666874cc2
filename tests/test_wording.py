"""Words and tables for people; what is compared is tested in test_comparison.py."""

import pandas as pd
import pytest

from lesions.comparison import ENDS, IN_SHORT
from lesions.metrics import MEASURES
from lesions.taxonomy import NOT_A_MEDICAL_DEVICE
from lesions.wording import describe_run, in_prose, in_text, say_differences, to_markdown


def scores(**changes):
    """Give .5 for every measure but the changed ones, and ends .1 below and above."""
    found = dict.fromkeys(MEASURES, 0.5) | changes
    ends = zip(ENDS, (-0.1, 0.1), strict=True)
    return found | {f"{name}_{end}": found[name] + far for end, far in ends for name in IN_SHORT}


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
    text = to_markdown(table, note="Synthetic.")
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


def test_real_differences_are_said_with_the_better_model_first():
    pairs = [
        ("cnn", "vgg16", difference(-0.2, -0.3, -0.1)),
        ("cnn", "new", difference(0.1, -0.1, 0.3)),
    ]
    text = say_differences(
        [{"model": a, "other": b, "measures": {"balanced_accuracy": d}} for a, b, d in pairs]
    )
    assert text == (
        "Real differences in balanced accuracy: vgg16 over cnn by 0.20 (0.10 to 0.30). "
        "Not told apart: cnn and new. Each model was trained once; no correction for the number of "
        "pairs."
    )


def test_what_a_reader_must_know_stands_below_the_table():
    classes = {dx: {"n_images": n} for dx, n in {"akiec": 0, "mel": 30, "nv": 90}.items()}
    options = {"profile": "mine", "split_by": "lesion", "confidence": 0.95}
    text = describe_run(classes, [], source="demo", random=["vgg16", "new"], **options)
    assert text == (
        "Profile mine, test images split by lesion. In brackets the 95% interval from resampling "
        "lesions. Always naming nv would score 0.750 accuracy and 0.500 balanced accuracy. "
        "The backbones of vgg16, new have random weights. Synthetic demonstration data: "
        f"scores mean nothing clinically. {NOT_A_MEDICAL_DEVICE}"
    )
    text = describe_run(classes, [], source="folder", random=[], **options)
    assert text.endswith(f"balanced accuracy. {NOT_A_MEDICAL_DEVICE}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1956, "1,956"),
        (0.95812, "0.958"),
        (None, "–"),
        (["df", 2], "df, 2"),
        ({"n_pairs_found": 3, "rate": 0.5}, "pairs found 3; rate 0.500"),
    ],
)
def test_any_value_of_a_json_is_written_for_a_person(value, text):
    assert in_text(value) == text


def test_a_list_reads_as_prose():
    assert [in_prose(["a"]), in_prose(["a", "b"]), in_prose(["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]
