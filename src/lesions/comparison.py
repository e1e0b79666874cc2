"""All models side by side: scores with intervals, what others report, and learning curves."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd

from lesions import metrics
from lesions.bootstrap import Protocol
from lesions.calibration import apply_calibration
from lesions.paired import mcnemar, paired_differences
from lesions.taxonomy import NOT_A_MEDICAL_DEVICE, PROBABILITIES

COUNTS = ("n_images", "n_lesions")
MEASURES = (*COUNTS, *metrics.MEASURES)
IN_SHORT = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")  # with their intervals
ENDS = ("low", "high")


def compare_models(
    evaluations: Mapping[str, Mapping[str, Mapping]],
    intervals: Mapping[str, Mapping[str, Mapping]],
    *,
    published: Mapping[str, Mapping] | None = None,
) -> pd.DataFrame:
    """Put all models into one table.

    Parameters
    ----------
    evaluations
        Model to source to measure to number; the source is `measured`, the study's own test part,
        or `on <set>`, external photographs; all `MEASURES` are there.
    intervals
        The same, but to `{"value", "low", "high"}`, for `IN_SHORT` at least.
    published
        Model to measure to number, what others report; any measure may be missing.

    Returns
    -------
    DataFrame
        `model`, `source`, `MEASURES`, and for `IN_SHORT` `<measure>_low` and `<measure>_high`. A
        model's published row follows its measured ones; what only others have stands at the end.

    Raises
    ------
    ValueError
        If an evaluation lacks a measure.
    """
    published = dict(published or {})
    rows = []
    for model, sources in evaluations.items():
        for source, scores in sources.items():
            missing = [measure for measure in MEASURES if measure not in scores]
            if missing:
                raise ValueError(
                    f"The evaluation of every model must have {', '.join(MEASURES)}; that of "
                    f"{model} ({source}) lacks {', '.join(missing)}; run 'dvc repro'."
                )
            ends = {
                f"{measure}_{end}": intervals[model][source][measure][end]
                for measure in IN_SHORT
                for end in ENDS
            }
            rows.append({"model": model, "source": source, **scores, **ends})
        if model in published:
            rows.append({"model": model, "source": "published", **published.pop(model)})
    rows += [{"model": model, "source": "published", **row} for model, row in published.items()]
    columns = ["model", "source", *MEASURES]
    columns += [f"{measure}_{end}" for measure in IN_SHORT for end in ENDS]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(COUNTS, "Int64") | dict.fromkeys(columns[4:], float))


def compare_pairs(
    predictions: Mapping[str, pd.DataFrame],
    calibrations: Mapping[str, Mapping],
    labels: pd.DataFrame,
    protocol: Protocol,
) -> list[dict]:
    """Compare each model with each on the test part.

    Parameters
    ----------
    predictions
        Model to `image_id`, `partition`, `label`, `p_akiec` to `p_vasc`.
    calibrations
        Model to what `lesions.calibration.calibrate` gives.
    labels
        Has `image_id` and `lesion_id`.
    protocol
        Of the paired bootstrap.

    Returns
    -------
    list of dict
        `model`, `other`; `measures`, see `lesions.paired.paired_differences`; `mcnemar`.

    Raises
    ------
    ValueError
        If two models were asked about different images.
    """
    tests = {
        model: metrics.take_rows(table).set_index("image_id")
        for model, table in predictions.items()
    }
    pairs = []
    for model, other in combinations(tests, 2):
        test = tests[model]
        if not test.index.equals(tests[other].index):
            raise ValueError(
                f"Models must be compared on the same images; the test images of {model} and of "
                f"{other} differ; run 'dvc repro'."
            )
        both = [
            apply_calibration(tests[name][list(PROBABILITIES)].to_numpy(), calibrations[name])
            for name in (model, other)
        ]
        truth = test["label"].to_numpy()
        lesions = labels.set_index("image_id")["lesion_id"].loc[test.index].to_numpy()
        pairs.append(
            {
                "model": model,
                "other": other,
                "measures": paired_differences(truth, *both, lesions, protocol),
                "mcnemar": mcnemar(truth, *both),
            }
        )
    return pairs


def in_short(table: pd.DataFrame) -> dict[str, dict]:
    """Give model to source to measure to `{"value", "low", "high"}`, `IN_SHORT` only, as measured.

    What is not defined is `None`.
    """
    short = {}
    for row in table[table["source"] != "published"].to_dict("records"):
        short.setdefault(row["model"], {})[row["source"]] = {
            measure: {
                name: None if pd.isna(value) else value
                for name, value in (
                    ("value", row[measure]),
                    *((end, row[f"{measure}_{end}"]) for end in ENDS),
                )
            }
            for measure in IN_SHORT
        }
    return short


def to_markdown(table: pd.DataFrame, *, note: str = "") -> str:
    """Write what `compare_models` gives as a table in Markdown, `note` below it.

    Single numbers stand with their intervals, those of others as printed there; precision, recall
    and F1 share a column at two decimals, as the paper prints them. What is missing is a dash.
    """
    header = ["model", "source", "images", "accuracy", "balanced accuracy", "macro P / R / F1"]
    header += ["weighted P / R / F1", "ROC AUC"]
    lines = [header, ["---"] * 2 + ["---:"] * 6]
    for row in table.to_dict("records"):
        triples = [
            " / ".join(
                _number(row[f"{score}_{mean}"], 2) for score in ("precision", "recall", "f1")
            )
            for mean in ("macro", "weighted")
        ]
        n_images = "–" if pd.isna(row["n_images"]) else f"{row['n_images']}"
        accuracy, balanced, _, area = (_with_interval(row, measure) for measure in IN_SHORT)
        lines.append([row["model"], row["source"], n_images, accuracy, balanced, *triples, area])
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{note}\n" if note else f"{text}\n"


def describe_run(
    profile: str,
    split_by: str,
    confidence: float,
    random: Sequence[str],
    differences: Sequence[Mapping],
    caveat: str,
) -> str:
    """Say what a reader of the table must know: protocol, intervals, differences, what it is not.

    Parameters
    ----------
    differences
        What `compare_pairs` gives.
    """
    sentences = [
        f"Profile {profile}, test images split by {split_by}. "
        f"In brackets the {confidence:.0%} interval from resampling lesions."
    ]
    if differences:
        sentences.append(say_differences(differences))
    if random:
        sentences.append(f"The backbones of {', '.join(random)} have random weights.")
    return " ".join([*sentences, caveat, NOT_A_MEDICAL_DEVICE]).replace("  ", " ")


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


def _with_interval(row, measure):
    """Give 0.720 (0.700–0.740); a number without interval as it is."""
    value, low, high = (row[name] for name in (measure, *(f"{measure}_{end}" for end in ENDS)))
    if pd.isna(value) or pd.isna(low):
        return "–" if pd.isna(value) else str(value)
    return f"{value:.3f} ({low:.3f}–{high:.3f})"


def _number(value: float, decimals: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{decimals}f}"


def gather_curves(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the learning curves of all models into one long table.

    Parameters
    ----------
    curves
        Model to `epoch, accuracy, loss` and, where it had a validation part,
        `val_accuracy, val_loss`; one row an epoch.

    Returns
    -------
    DataFrame
        `model`, `partition` (`train` or `val`), `epoch`, `accuracy`, `loss`.
    """
    parts = []
    for model, curve in curves.items():
        for partition, prefix in (("train", ""), ("val", "val_")):
            if f"{prefix}loss" in curve:
                part = curve[["epoch", f"{prefix}accuracy", f"{prefix}loss"]]
                part = part.set_axis(["epoch", "accuracy", "loss"], axis=1)
                parts.append(part.assign(model=model, partition=partition))
    return pd.concat(parts)[["model", "partition", "epoch", "accuracy", "loss"]]
