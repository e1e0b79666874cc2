"""Words about a study: notes, tables in Markdown, and values as a person writes them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lesions.comparison import ENDS, IN_SHORT
from lesions.metrics import CAVEATS
from lesions.taxonomy import CODES, NOT_A_MEDICAL_DEVICE

MISSING = "–"


def number(value: float | None, decimals: int = 2) -> str:
    """Write a number with so many decimals; what is missing is a dash."""
    return MISSING if pd.isna(value) else f"{value:.{decimals}f}"


def key_in_words(name: str) -> str:
    """Write a key of a JSON in words: `n_pairs_found` is "pairs found"."""
    return name.removeprefix("n_").replace("_", " ")


def in_prose(names: Sequence[str]) -> str:
    """Write a list as prose: `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def in_text(value) -> str:
    """Write any value of a JSON as a person would: 1,956, 0.958, a list's items."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key_in_words(name)} {in_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(in_text, value))
    if value is None or isinstance(value, float):
        return number(value, 3)
    return f"{value:,}" if isinstance(value, int) else str(value)


def name_model(model: str, only_predicted: str | None) -> str:
    """Write a model's name, and of one that has collapsed what it predicts."""
    return model if pd.isna(only_predicted) else f"{model} (predicts only {only_predicted})"


def to_markdown(table: pd.DataFrame, *, note: str = "") -> str:
    """Write what `compare_models` gives as a table in Markdown, `note` below it.

    Single numbers stand with their intervals, those of others as printed there; precision, recall
    and F1 share a column at two decimals, as the paper prints them. What is missing is a dash.
    Images without some of the diagnoses say so, because means are over those that there are.
    """
    header = ["model", "source", "images", "accuracy", "balanced accuracy", "macro P / R / F1"]
    header += ["weighted P / R / F1", "ROC AUC"]
    lines = [header, ["---"] * 2 + ["---:"] * 6]
    for row in table.to_dict("records"):
        triples = [
            " / ".join(number(row[f"{score}_{mean}"]) for score in ("precision", "recall", "f1"))
            for mean in ("macro", "weighted")
        ]
        n_images = MISSING if pd.isna(row["n_images"]) else f"{row['n_images']}"
        if pd.notna(row["n_diagnoses"]) and row["n_diagnoses"] < len(CODES):
            n_images += f" ({row['n_diagnoses']} of {len(CODES)} diagnoses)"
        accuracy, balanced, _, area = (_with_interval(row, measure) for measure in IN_SHORT)
        model = name_model(row["model"], row["only_predicted"])
        lines.append([model, row["source"], n_images, accuracy, balanced, *triples, area])
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{note}\n" if note else f"{text}\n"


def describe_run(
    classes: Mapping[str, Mapping],
    differences: Sequence[Mapping],
    *,
    profile: str,
    source: str,
    split_by: str,
    confidence: float,
    random: Sequence[str],
) -> str:
    """Say what a reader of the table must know: protocol, intervals, differences, what it is not.

    Parameters
    ----------
    classes
        `dx` to `n_images` and more, of the test images.
    differences
        What `lesions.comparison.compare_pairs` gives.
    profile, source, split_by, confidence
        Settings of `params.yaml`; `source` is that of `data`.
    random
        The models whose backbones have random weights.
    """
    sentences = [
        f"Profile {profile}, test images split by {split_by}.",
        f"In brackets the {confidence:.0%} interval from resampling lesions.",
        say_baseline(classes),
        say_differences(differences) if differences else "",
        f"The backbones of {', '.join(random)} have random weights." if random else "",
        CAVEATS[source],
        NOT_A_MEDICAL_DEVICE,
    ]
    return " ".join(filter(None, sentences))


def say_differences(pairs: Sequence[Mapping], measure: str = "balanced_accuracy") -> str:
    """Say in words which differences of one measure are real: their interval leaves out 0."""
    real, open_ = [], []
    for pair in pairs:
        found = pair["measures"][measure]
        better, other = pair["model"], pair["other"]
        value, low, high = (found[name] for name in ("difference", "low", "high"))
        if found["real"]:
            if value < 0:
                better, other, value, low, high = other, better, -value, -high, -low
            real.append(f"{better} over {other} by {value:.2f} ({low:.2f} to {high:.2f})")
        else:
            open_.append(f"{better} and {other}")
    name = measure.replace("_", " ")
    text = f"Real differences in {name}: {'; '.join(real) or 'none'}."
    if open_:
        text += f" Not told apart: {'; '.join(open_)}."
    return f"{text} Each model was trained once; no correction for the number of pairs."


def say_baseline(classes: Mapping[str, Mapping]) -> str:
    """Say what a program would score that always names the most frequent diagnosis.

    Parameters
    ----------
    classes
        `dx` to `n_images` and more; there is an image at least.
    """
    n_images = {dx: found["n_images"] for dx, found in classes.items()}
    most = max(n_images, key=n_images.get)
    accuracy = n_images[most] / sum(n_images.values())
    balanced = 1 / sum(count > 0 for count in n_images.values())
    return (
        f"Always naming {most} would score {accuracy:.3f} accuracy and {balanced:.3f} balanced "
        "accuracy."
    )


def _with_interval(row, measure):
    """Give 0.720 (0.700–0.740); a number without interval as it is."""
    value, low, high = (row[name] for name in (measure, *(f"{measure}_{end}" for end in ENDS)))
    if pd.isna(value) or pd.isna(low):
        return MISSING if pd.isna(value) else str(value)
    return f"{value:.3f} ({low:.3f}–{high:.3f})"
