"""The model card: what the models are, for whom, on what data, and how well they do, in Markdown.

Its content follows Mitchell et al., "Model cards for model reporting", FAT* 2019. Every number is
read from the study's own files.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import yaml

from lesions.report.values import in_prose, key_in_words
from lesions.report.wording import render_template
from lesions.taxonomy import keep_scored

LICENCES = {"ham10000": "cc-by-nc-4.0", "synthetic": "apache-2.0", "other": "other"}
# Headline measures, by the name of the metric on Hugging Face.
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1": "f1_macro",
    "roc_auc": "roc_auc_macro",
}
# How HAM10000, the ISIC and PAD-UFES-20 call a diagnosis that was made by histopathology.
HISTOPATHOLOGY = ("histo", "histopathology", "biopsied")


def render(template: str, inputs: Mapping, *, settings: Mapping) -> str:
    """Return the model card as Markdown; the same inputs give the same text.

    Parameters
    ----------
    template : str
        Jinja2, with the text.
    inputs : mapping
        As from `lesions.report.inputs.read_inputs`.
    settings : mapping
        All settings of params.yaml.
    """
    filters = [
        cell,
        count_age_bands,
        count_dx_types,
        count_histopathology,
        describe_machines,
        describe_purposes,
        front_matter,
        find_least_sensitive,
        find_undercovered,
        most_confused,
    ]
    # Markdown needs no escaping.
    return render_template(template, inputs, autoescape=False, filters=filters, settings=settings)


def front_matter(details: Mapping[str, Mapping], *, name: str, data: str) -> str:
    """Return the header that model hubs read, YAML between lines of dashes.

    It is that of Hugging Face's model cards: `license`, `datasets`, `tags` and `model-index`.

    Parameters
    ----------
    details : mapping
        Model to set to `details.json`; those without scores are left out.
    name : str
        Of the study.
    data : str
        What the models were trained on, a key of `LICENCES`. A model of photographs that may not
        be used commercially has their licence.
    """
    models = [
        {
            "name": f"{name}-{model}",
            "results": [_describe_result(set_, row) for set_, row in keep_scored(sets).items()],
        }
        for model, sets in details.items()
    ]
    header = {
        "license": LICENCES[data],
        **({"datasets": ["ham10000"]} if data == "ham10000" else {}),
        "tags": ["image-classification", "dermatoscopy", "not-a-medical-device"],
        "library_name": "keras",
        "model-index": models,
    }
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=99)}---"


def _describe_result(name, found):
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": name, "type": name, "split": found.get("partition", "test")},
        "metrics": [
            {"type": kind, "value": found["headline"][measure]["value"]}
            for kind, measure in METRICS.items()
        ],
    }


def count_dx_types(labels: pd.DataFrame, codes: Sequence[str]) -> pd.DataFrame:
    """Count how the diagnoses of `labels` were made.

    Returns
    -------
    DataFrame
        A row for each `dx` and one for `all`; columns `n_images`, `n_lesions`, then the images of
        each `dx_type`, most frequent first.
    """
    kinds = labels["dx_type"].fillna("unknown")
    counts = pd.crosstab(labels["dx"], kinds)
    order = sorted(counts.columns, key=lambda kind: (-counts[kind].sum(), kind))
    table = labels.groupby("dx").agg(n_images=("dx", "size"), n_lesions=("lesion_id", "nunique"))
    table = table.join(counts[order]).reindex(codes, fill_value=0)
    return pd.concat([table, table.sum().to_frame("all").T])


def count_histopathology(row: Mapping[str, int]) -> int:
    """Return the images of a row of `count_dx_types` whose diagnosis is by histopathology."""
    return int(sum(row.get(kind, 0) for kind in HISTOPATHOLOGY))


def count_age_bands(cohort: pd.DataFrame) -> dict[str, int]:
    """Count the images of people `under_30`, `from_30_to_59`, `from_60` and `unknown`.

    `cohort` is that of stage `explore`; of the column `age`, values are the lower edge of five
    years, or `unknown`.
    """
    ages = cohort[cohort["column"] == "age"]
    names = ["under_30", "from_30_to_59", "from_60"]
    years = pd.to_numeric(ages["value"], errors="coerce")
    bands = pd.cut(years, [0, 30, 60, float("inf")], right=False, labels=names)
    counts = ages.groupby(bands.astype(object).fillna("unknown"))["n_images"].sum()
    return counts.reindex([*names, "unknown"], fill_value=0).to_dict()


def find_least_sensitive(classes: Mapping[str, Mapping]) -> list[str]:
    """Return the diagnoses with the lowest sensitivity, of those that have images."""
    found = {dx: row["sensitivity"]["value"] for dx, row in classes.items() if row["n_images"]}
    return [dx for dx, value in found.items() if value == min(found.values())]


def most_confused(row: Mapping[str, int], dx: str) -> str | None:
    """Return the wrong prediction that most images of a diagnosis got; None if there is none."""
    wrong = {predicted: n for predicted, n in row.items() if predicted != dx and n}
    return max(wrong, key=wrong.get, default=None)


def find_undercovered(sets: Mapping, coverage: float) -> list[str]:
    """Return the diagnoses whose prediction sets have a coverage interval below the target."""
    bounds = {dx: row["coverage"]["high"] for dx, row in sets["classes"].items()}
    return [dx for dx, high in bounds.items() if high is not None and high < coverage]


def describe_purposes(
    partitions: Mapping[str, int], calibration: Mapping, *, settings: Mapping, scored: str
) -> dict[str, str]:
    """Return what each of the study's partitions is for, or why it is empty or unused.

    Parameters
    ----------
    partitions : mapping
        Partition to number of images.
    calibration : mapping
        As from `lesions.evaluation.calibration.calibrate.calibrate`, with its `decision`.
    settings : mapping
        All settings of params.yaml.
    scored : str
        The partition whose scores are on the card, `val` or `test`.
    """
    models = settings["models"].values()
    fitted_on = calibration["partition"] if calibration["calibrated"] else None
    ensembles = settings["ensembles"].values()
    chosen = {
        "the epoch": any(model["keep_epoch"] != "last" for model in models),
        "the weights of ensembles": any(e["weights"] == "validation" for e in ensembles),
        "the temperature": fitted_on == "val",
        "the decision rule's exponent": calibration["decision"]["rule"] != "plain",
    }
    chosen = [what for what, is_chosen in chosen.items() if is_chosen]
    val = f"choice of {in_prose(chosen)}" if chosen else "learning curves; nothing is chosen on it"
    monitored = any(model.get("monitor") == "test" for model in models)
    watched = "; watched during training, nothing was chosen by them" if monitored else ""
    used = {
        "train": "training",
        "val": val + ("; the scores on this card" if scored == "val" else ""),
        "cal": "one half for the temperature, the other for the prediction sets",
        "test": f"the scores on this card{watched}",
    }
    if fitted_on != "cal":
        why = "the temperature is fitted on val" if fitted_on else calibration["reason"]
        used["cal"] = f"unused: {why}"
    empty = {
        "val": "empty: the last epoch is kept",
        "cal": "empty: " + ("no prediction sets" if fitted_on else "nothing is calibrated"),
        "test": "empty: the scores are of other sets",
    }
    purposes = used | {name: empty[name] for name in empty if not partitions[name]}
    if scored == "val":
        purposes["test"] = "not scored while settings are being chosen"
    return purposes


def describe_machines(trained_on: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return CPU and library versions that trained models, as text, and these models."""
    models = {}
    for model, machine in trained_on.items():
        facts = [f"{key_in_words(name)} {value}" for name, value in machine.items()]
        models.setdefault(", ".join(facts).removeprefix("cpu "), []).append(model)
    return models


def cell(text: str) -> str:
    """Write any text so that it stays in its cell and is not read as HTML."""
    text = " ".join(str(text).split()).replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;")
