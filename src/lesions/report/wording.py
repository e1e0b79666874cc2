"""Words about a study: the comparison table in Markdown, sentences about scores."""

from collections.abc import Callable, Mapping, Sequence

import jinja2
import pandas as pd

from lesions.report import captions
from lesions.report.values import (
    MISSING,
    in_prose,
    in_text,
    in_words,
    interval,
    key_in_words,
    number,
    score,
)
from lesions.taxonomy import PARTITION_NAMES, keep_adjusted, keep_scored

VALIDATION = (
    "All scores are on the study's validation images, on which settings are being chosen: they are "
    "optimistic, and no test image was scored."
)
# Columns of the table of scores, and those that are one score with its interval.
COLUMNS = ("model", "source", "images", "accuracy", "balanced accuracy", "macro P / R / F1")
COLUMNS += ("weighted P / R / F1", "ROC AUC")
SCORES = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "f1_macro",
    "ROC AUC": "roc_auc_macro",
}
# Beside the scores of the same name, which are then of the plain rule.
ADJUSTED = {
    "accuracy, prior-adjusted": "accuracy_adjusted",
    "balanced accuracy, prior-adjusted": "balanced_accuracy_adjusted",
}


def name_model(model: str, only_predicted: str | None) -> str:
    """Write the name of a model; of a collapsed one also the only diagnosis that it predicts."""
    return model if pd.isna(only_predicted) else f"{model} (predicts only {only_predicted})"


def name_network(settings: Mapping) -> str:
    """Write which network a model or a backbone is, by its name in `keras.applications` if any."""
    return settings.get("network", settings["architecture"])


def describe_ensemble(weights: Mapping[str, float], chosen_by: str) -> str:
    """Write what an ensemble is: its models with their weights, and what these were chosen by."""
    models = in_prose([f"{model} ({number(weight, 2)})" for model, weight in weights.items()])
    fitted = "those with the smallest cross-entropy on the validation images"
    how = fitted if chosen_by == "validation" else chosen_by
    return (
        f"an ensemble, the weighted mean of the probabilities of {models}; the weights are {how}."
    )


def list_resolutions(settings: Mapping) -> str:
    """Return the sizes at which the models are given photographs, such as '64 × 64 px'."""
    sizes = {
        model["input_pixels"] if model["inputs"] == "raw" else settings["resize"]["pixels"]
        for model in settings["models"].values()
    }
    return f"{in_prose([f'{pixels} × {pixels}' for pixels in sorted(sizes)], 'or')} px"


def to_markdown(
    table: pd.DataFrame, *, n_classes: int, note: str = "", columns: Sequence[str] = COLUMNS
) -> str:
    """Write the comparison of all models as a table in Markdown, with `note` below it.

    `table` is as from `lesions.evaluation.comparison.compare_models`; `columns` are of `COLUMNS` or
    `SCORES`. Scores without interval are written as they were published; precision, recall and F1
    have two decimals, as in the paper.
    """
    if any(table.get(name, pd.Series(dtype=float)).notna().any() for name in ADJUSTED.values()):
        columns = (*columns, *ADJUSTED)
    lines = [columns, ["---"] * 2 + ["---:"] * (len(columns) - 2)]
    for row in table.to_dict("records"):
        n_images = MISSING if pd.isna(row["n_images"]) else f"{row['n_images']}"
        if pd.notna(row["n_diagnoses"]) and row["n_diagnoses"] < n_classes:
            n_images += f" ({row['n_diagnoses']} of {n_classes} diagnoses)"
        cells = {"model": name_model(row["model"], row["only_predicted"])}
        cells |= {"source": row["source"], "images": n_images}
        for mean in ("macro", "weighted"):
            triple = (number(row[f"{name}_{mean}"]) for name in ("precision", "recall", "f1"))
            cells[f"{mean} P / R / F1"] = " / ".join(triple)
        shown = {**SCORES, **ADJUSTED}
        cells |= {head: _cell(row, shown[head]) for head in columns if head in shown}
        lines.append([cells[column] for column in columns])
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{note}\n" if note else f"{text}\n"


def keeps_random_weights(model: Mapping) -> bool:
    """Return whether layers of a model's own backbone stay random: they are never trained."""
    return model.get("weights") == "random" and model.get("trainable") != "all"


def describe_run(
    details: Mapping[str, Mapping[str, Mapping]], pairs: Sequence[Mapping], *, settings: Mapping
) -> str:
    """Write what a reader of the comparison table must know.

    Parameters
    ----------
    details : mapping
        Model to set to details; the classes are those of the first model on the first set that is
        scored.
    pairs : sequence of mapping
        As from `lesions.evaluation.comparison.compare_pairs`.
    settings : mapping
        All settings of params.yaml.
    """
    study, of_model = settings["sets"]["study"], next(iter(details.values()))
    scored = keep_scored(of_model)
    first = next(iter(scored.values()))
    units = [first["bootstrap"]["unit"]]
    for name, found in scored.items():
        if found["bootstrap"]["unit"] != units[0]:
            units.append(f"on {name} by {found['bootstrap']['unit']}")
    backbones = {f"features/{name}": b["weights"] for name, b in settings["backbones"].items()}
    random = [
        name
        for name, model in settings["models"].items()
        if backbones.get(model["inputs"]) == "random" or keeps_random_weights(model)
    ]
    sentences = [
        f"Profile {settings['profile']}, split by {study['split']['by']}.",
        f"Brackets: {100 * settings['evaluate']['confidence']:g} % bootstrap CI, resampled by "
        f"{'; '.join(units)}.",
        describe_scored(of_model),
        captions.describe_lesion_ids(of_model["study"]),
        describe_decision(first),
        describe_baseline(first["classes"]),
        describe_differences(pairs) if pairs else "",
        f"Models on a backbone with random weights: {', '.join(random)}." if random else "",
        captions.CAVEATS[study["source"]["kind"]],
        captions.DISCLAIMER,
    ]
    return " ".join(filter(None, sentences))


def describe_scored(of_model: Mapping[str, Mapping]) -> str:
    """Write on what else than the test images of all sets a model is scored; or nothing.

    `of_model` is set to details.
    """
    texts = [VALIDATION] if of_model["study"].get("partition") == "val" else []
    unscored = {
        name: found for name, found in of_model.items() if name not in keep_scored(of_model)
    }
    for name, found in unscored.items():  # "Not scored: the reason."
        texts.append(f"{name} was {found['says'][0].lower()}{found['says'][1:]}")
    return " ".join(texts)


def describe_decision(found: Mapping) -> str:
    """Write what the prior-adjusted scores are; nothing if the rule is plain.

    `found` are details of a scored set.
    """
    if not keep_adjusted(found):
        return ""
    text = (
        "All scores are of the plain rule, which predicts the most probable class, except those "
        "called prior-adjusted: for those, each probability is divided by its class's share of the "
        "training images, raised to a power that was chosen on validation images"
    )
    return text + (", which are these." if found["partition"] == "val" else ".")


def describe_baseline(classes: Mapping[str, Mapping]) -> str:
    """Write the scores of always predicting the most frequent diagnosis."""
    n_images = {dx: row["n_images"] for dx, row in classes.items() if row["n_images"]}
    majority = max(n_images, key=n_images.get)
    accuracy, balanced = n_images[majority] / sum(n_images.values()), 1 / len(n_images)
    return (
        f"Majority-class baseline ({majority}): accuracy {accuracy:.3f}, balanced accuracy "
        f"{balanced:.3f}."
    )


def describe_differences(pairs: Sequence[Mapping]) -> str:
    """Write which differences in balanced accuracy have an interval that excludes 0."""
    clear, inconclusive = [], []
    for pair in pairs:
        found = pair["measures"]["balanced_accuracy"]
        better, other = pair["model"], pair["other"]
        value, low, high = (found[name] for name in ("difference", "low", "high"))
        if not found["real"]:
            inconclusive.append(f"{better} and {other}")
            continue
        if value < 0:
            better, other, value, low, high = other, better, -value, -high, -low
        clear.append(f"{better} over {other} by {value:.2f} ({low:.2f} to {high:.2f})")
    text = f"Differences in balanced accuracy whose CI excludes 0: {'; '.join(clear) or 'none'}."
    if inconclusive:
        text += f" Inconclusive: {'; '.join(inconclusive)}."
    return f"{text} One training run per model; not corrected for multiple comparisons."


def render_template(
    template: str, inputs: Mapping, *, autoescape: bool, filters: Sequence[Callable], **content
) -> str:
    """Render a Jinja template on `inputs` and `content`; `filters` add to this module's own."""
    environment = jinja2.Environment(
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    ours = (number, interval, score, key_in_words, in_prose, in_words, in_text, name_model)
    ours += (name_network, keeps_random_weights, list_resolutions, describe_ensemble)
    filters = (
        *ours,
        describe_baseline,
        describe_decision,
        keep_adjusted,
        describe_differences,
        *filters,
    )
    environment.filters.update({function.__name__: function for function in filters})
    environment.filters["count"] = "{:,}".format
    content |= {"inputs": inputs, "models": list(inputs["details"]), **_pick(inputs["details"])}
    return environment.from_string(template).render(content, captions=captions)


def _pick(details):
    """Return what templates show of the details of all models.

    `scored`, model to scored set to details; `main`, the first of these sets: the study, or where
    it has no test images the first set that is tested on; `details`, model to those of `main`;
    `images`, what they are of, such as "test images"; `study_details`, for the study's metadata.
    """
    scored = {model: keep_scored(sets) for model, sets in details.items()}
    first = next(iter(details))
    main = next(iter(scored[first]))
    of_main = {model: sets[main] for model, sets in scored.items()}
    images = f"{PARTITION_NAMES[of_main[first]['partition']]} images"
    return {
        "scored": scored,
        "main": main,
        "details": of_main,
        "images": images if main == "study" else f"{images} of {main}",
        "partition": of_main[first]["partition"],
        "study_details": details[first]["study"],
        "which_scored": describe_scored(details[first]),
    }


def _cell(row, measure):
    if pd.isna(row[f"{measure}_low"]):
        return MISSING if pd.isna(row[measure]) else str(row[measure])
    bounds = {bound: row[f"{measure}_{bound}"] for bound in ("low", "high")}
    return score({"value": row[measure], **bounds}, 3)
