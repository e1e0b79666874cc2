"""Which charts the report has, and which numbers each one shows."""

from collections.abc import Mapping

import pandas as pd

from lesions import counts, dots, lines

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "roc_auc_macro": "macro ROC AUC",
    "average_precision_macro": "macro average precision",
    "cohen_kappa": "Cohen’s kappa",
    "matthews": "Matthews",
    "brier": "Brier score ↓",
    "calibration_error": "calibration error ↓",
}
COHORT = ("dx", "sex_by_dx", "age_by_dx", "localization_by_dx")
SUBGROUPS = {
    "sex": "Sex",
    "dx_type": "How the diagnosis was made",
    "age_band": "Age in years",
    "localization": "Localization",
}


def draw(inputs: Mapping, colours: Mapping[str, str]) -> dict[str, dict]:
    """Give every chart of the page, by the name that the template calls it.

    Parameters
    ----------
    inputs
        As in `lesions.report.render`.
    colours
        Model to colour.

    Returns
    -------
    dict of str to dict
        Vega-Lite. A chart of intervals that would have no dot is left out.
    """
    details, curves = inputs["details"], inputs["learning_curves"]
    drawn = {
        f"cohort-{name}": counts.stacked_bars(inputs["cohort"][name], name.removesuffix("_by_dx"))
        for name in COHORT
    }
    drawn["balance"] = counts.paired_bars(inputs["balance"]["before"], inputs["balance"]["after"])
    for measure in ("accuracy", "loss"):
        drawn[f"learning-{measure}"] = lines.learning_curves(curves, measure, colours)
    for measure in ("accuracy", "balanced_accuracy"):
        table = pd.concat(t.assign(model=model) for model, t in inputs["referral"].items())
        drawn[f"referral-{measure}"] = lines.referral(table, measure, colours)
    for model in details:
        roc, precision = inputs["roc"][model], inputs["precision_recall"][model]
        drawn |= {
            f"confusion-{model}": counts.confusion_matrix(details[model]["confusion"]),
            f"roc-{model}": lines.curves(roc, "false_positive_rate", "sensitivity", chance=True),
            f"precision-{model}": lines.curves(precision, "sensitivity", "ppv", chance=False),
            f"reliability-{model}": lines.reliability(inputs["reliability"][model]),
        }
    return drawn | _interval_charts(details, inputs["external"], colours)


def _interval_charts(details, external, colours):
    """Give the charts of dots on intervals; one without any dot is left out."""
    groups = {f"subgroups-{column}": [] for column in SUBGROUPS}
    leakage, sets, short = [], [], []
    for model, found in details.items():
        for measure in ("balanced_accuracy", "accuracy", "f1_macro", "roc_auc_macro"):
            short.append((MEASURES[measure], model, found["headline"][measure]))
        sets.append(("test part", model, found["headline"]["balanced_accuracy"]))
        for column in SUBGROUPS:
            for name, scores in found["subgroups"][column]["groups"].items():
                row = (name, model, scores["balanced_accuracy"])
                groups[f"subgroups-{column}"].append(row)
        for unit, sides in found["leakage"].items():
            for side, name in (("in_training", "seen"), ("not_in_training", "not seen")):
                if sides[side] and not sides[side].get("too_small"):
                    row = (f"{unit} {name}", model, sides[side]["balanced_accuracy"])
                    leakage.append(row)
    for name, scores in external.items():
        sets += [(name, m, found["headline"]["balanced_accuracy"]) for m, found in scores.items()]
    rows = {"in-short": short, **groups, "leakage": leakage, "external": sets if external else []}
    return {
        name: dots.intervals(
            pd.DataFrame([{"name": n, "model": m, **v} for n, m, v in found]),
            colours,
            title="score" if name == "in-short" else "balanced accuracy",
        )
        for name, found in rows.items()
        if any(value["value"] is not None for _, _, value in found)
    }
