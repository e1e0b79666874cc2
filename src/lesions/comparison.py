"""All models side by side: their scores, the paper's, and their learning curves."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lesions.taxonomy import NOT_A_MEDICAL_DEVICE

MEASURES = (
    "n_images",
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "roc_auc_macro",
)
IN_SHORT = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")

# What a publication reports for the same models, by `profile` of params.yaml. `paper` is the study
# that this pipeline reproduces: HAM10000 at 32 x 32 px, random split by image, ADASYN; its numbers
# as it prints them. It gives neither balanced accuracy nor ROC AUC.
PUBLISHED = {
    "paper": {
        "cnn": {
            "n_images": 2003,
            "accuracy": 0.72,
            "precision_macro": 0.53,
            "recall_macro": 0.52,
            "f1_macro": 0.52,
            "precision_weighted": 0.71,
            "recall_weighted": 0.72,
            "f1_weighted": 0.72,
        },
        "vgg16": {
            "n_images": 2003,
            "accuracy": 0.6360,
            "precision_macro": 0.45,
            "recall_macro": 0.47,
            "f1_macro": 0.45,
            "precision_weighted": 0.69,
            "recall_weighted": 0.64,
            "f1_weighted": 0.66,
        },
        "resnet50": {"n_images": 2003, "accuracy": 0.2486},
    }
}


def compare_models(
    evaluations: Mapping[str, Mapping], *, published: Mapping[str, Mapping] | None = None
) -> pd.DataFrame:
    """Put all models into one table.

    Parameters
    ----------
    evaluations
        Model to measure to number, see `lesions.metrics.headline`; all `MEASURES` are there.
    published
        Model to measure to number, what others report; any measure, and any model, may be missing.

    Returns
    -------
    DataFrame
        `model`, `source` (`measured` or `published`) and `MEASURES`; the published row of a model
        follows the measured one. Models that only `published` has are left out.

    Raises
    ------
    ValueError
        If an evaluation lacks a measure.
    """
    published = published or {}
    rows = []
    for model, scores in evaluations.items():
        missing = [measure for measure in MEASURES if measure not in scores]
        if missing:
            raise ValueError(
                f"The evaluation of every model must have {', '.join(MEASURES)}; that of {model} "
                f"lacks {', '.join(missing)}; run 'dvc repro evaluate@{model}'."
            )
        rows.append({"model": model, "source": "measured", **scores})
        if model in published:
            rows.append({"model": model, "source": "published", **published[model]})
    table = pd.DataFrame(rows, columns=["model", "source", *MEASURES])
    return table.astype({"n_images": "Int64"} | dict.fromkeys(MEASURES[1:], float))


def in_short(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Give the measured values of `IN_SHORT` by model, `None` where one is not defined."""
    measured = table[table["source"] == "measured"].set_index("model")[list(IN_SHORT)]
    return measured.astype(object).where(measured.notna(), None).to_dict("index")


def to_markdown(table: pd.DataFrame, *, note: str = "") -> str:
    """Write what `compare_models` gives as a table in Markdown, `note` below it.

    Numbers are as they are; precision, recall and F1 share a column at two decimals, as the paper
    prints them. What is missing is a dash.
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
        single = [_number(row[measure]) for measure in MEASURES[:3]]
        lines.append([row["model"], row["source"], *single, *triples, _number(row[MEASURES[-1]])])
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{note}\n" if note else f"{text}\n"


def describe_run(profile: str, split_by: str, random: Sequence[str], caveat: str) -> str:
    """Say what a reader of the table must know: protocol, random weights, what it is not."""
    sentences = [f"Profile {profile}, test images split by {split_by}."]
    if random:
        sentences.append(f"The backbones of {', '.join(random)} have random weights.")
    return " ".join([*sentences, caveat, NOT_A_MEDICAL_DEVICE]).replace("  ", " ")


def _number(value: float, decimals: int | None = None) -> str:
    if pd.isna(value):
        return "–"
    return str(value) if decimals is None else f"{value:.{decimals}f}"


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
