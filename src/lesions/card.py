"""The model card: what the models are, for whom, on what data, and how well, in one Markdown page.

Mitchell et al., "Model cards for model reporting", FAT* 2019, say what belongs on it. Every number
comes from the study's own files, so that it can't go stale.
"""

from collections.abc import Mapping

import jinja2
import pandas as pd

from lesions.metrics import CAVEATS, find_only_predicted
from lesions.taxonomy import CODES, DIAGNOSES, NOT_A_MEDICAL_DEVICE, PARTITIONS
from lesions.wording import (
    MISSING,
    in_prose,
    in_text,
    key_in_words,
    name_model,
    number,
    say_baseline,
    say_differences,
)

UNKNOWN = "unknown"
# The profiles whose photographs are HAM10000's; of any other folder the card says less.
HAM10000 = ("paper", "ham10000", "dermamnist", "dermamnist-c")
SPLITS = {
    "image": "Each image was drawn by itself, so photographs of one lesion may lie in both the "
    "training and the test part. That flatters the models.",
    "lesion": "Photographs of one lesion stay together in one part. Near-duplicates under other "
    "lesion numbers may still be separated.",
    "group": "Photographs of one lesion stay together in one part, and so do near-duplicates that "
    "the audit found under different lesion numbers.",
    "column": "The metadata's column `{column}` says which part an image belongs to; the pipeline "
    "drew nothing itself.",
}


def render(template: str, inputs: Mapping, *, settings: Mapping) -> str:
    """Give the model card.

    Parameters
    ----------
    template
        Jinja2, with all words.
    inputs
        `evaluations` and `details` (model to source to JSON, see `lesions.stage.read_scores`),
        `calibrations` (model to JSON), `comparison`, `differences`, `split`, `audit` (JSON),
        `cohort` (`sex`, `age`, `localization` to what `lesions.exploration.count_by` gives) and
        `labels`, the table.
    settings
        Those of `params.yaml`, as nested mappings.

    Returns
    -------
    str
        Markdown. The same inputs give the same text.

    Raises
    ------
    jinja2.UndefinedError
        If the template names what an input does not have.
    """
    models = list(inputs["calibrations"])
    details = {model: inputs["details"][model]["measured"] for model in models}
    content = {
        **inputs,
        "models": models,
        "details": details,
        "evaluations": {model: inputs["evaluations"][model]["measured"] for model in models},
        "settings": settings,
        "demo": settings["data"]["source"] == "demo",
        "ham10000": settings["data"]["source"] in ("dataverse", "kaggle", "medmnist")
        or (settings["data"]["source"] == "folder" and settings["profile"] in HAM10000),
        "caveat": CAVEATS[settings["data"]["source"]],
        "not_a_medical_device": NOT_A_MEDICAL_DEVICE,
        "diagnoses": DIAGNOSES,
        "proofs": count_proofs(inputs["labels"]),
        "ages": sum_up_ages(inputs["cohort"]["age"]),
        "split_in_words": SPLITS[settings["split"]["by"]].format(**settings["split"]),
        "parts": {part: inputs["split"][f"n_{part}"] for part in PARTITIONS},
        "leaked": count_leaked(details[models[0]]["leakage"]),
        "differences_in_words": say_differences(inputs["differences"]["pairs"]),
        "baseline": say_baseline(details[models[0]]["classes"]),
        "names": {
            model: name_model(model, find_only_predicted(details[model]["confusion"]))
            for model in models
        },
        "weakest": {model: find_weakest(details[model]["classes"]) for model in models},
    }
    return _environment().from_string(template).render(content)


def count_proofs(labels: pd.DataFrame) -> pd.DataFrame:
    """Count how the diagnoses were made.

    Parameters
    ----------
    labels
        `dx`, `dx_type` and `lesion_id`, one row an image.

    Returns
    -------
    DataFrame
        A row for each diagnosis in the order of the taxonomy, then `all`; columns `n_images`,
        `n_lesions`, then the images of each `dx_type`, from frequent to rare.
    """
    kinds = labels["dx_type"].astype("string").replace("", pd.NA).fillna(UNKNOWN).astype(object)
    counts = pd.crosstab(labels["dx"], kinds).reindex(CODES, fill_value=0)
    order = sorted(counts.columns, key=lambda kind: (-counts[kind].sum(), kind))
    n_lesions = labels.groupby("dx")["lesion_id"].nunique().reindex(CODES, fill_value=0)
    table = counts[order]
    table.insert(0, "n_images", table.sum(axis=1))
    table.insert(1, "n_lesions", n_lesions)
    whole = table.sum()
    whole["n_lesions"] = labels["lesion_id"].nunique()
    return pd.concat([table, whole.to_frame("all").T])


def sum_up_ages(ages: pd.DataFrame) -> dict[str, int]:
    """Give the images of people `under_30`, from 30 to 59 (`middle`), `from_60` and `unknown`.

    Parameters
    ----------
    ages
        `age`, the lower edge of five years as text, or `unknown`; `n_images`.
    """
    years = pd.to_numeric(ages["age"], errors="coerce")
    counts = ages["n_images"]
    return {
        "under_30": int(counts[years < 30].sum()),
        "middle": int(counts[(years >= 30) & (years < 60)].sum()),
        "from_60": int(counts[years >= 60].sum()),
        UNKNOWN: int(counts[years.isna()].sum()),
    }


def count_leaked(leakage: Mapping | None) -> int | None:
    """Count the test images whose lesion is in training, `None` where that is not known."""
    if not leakage or "lesion" not in leakage:
        return None
    side = leakage["lesion"]["in_training"]
    return side["n_images"] if side else 0


def find_weakest(classes: Mapping[str, Mapping]) -> list[str]:
    """Name the diagnoses with the lowest sensitivity, of those that have images."""
    found = {dx: row["sensitivity"]["value"] for dx, row in classes.items() if row["n_images"]}
    return [dx for dx, value in found.items() if value == min(found.values())]


def find_missed(sets: Mapping, coverage: float) -> list[str]:
    """Name the diagnoses whose prediction sets hold them less often than promised.

    Parameters
    ----------
    sets
        `marginal` or `class_conditional` of a model's details.
    coverage
        The one promised; a diagnosis is named if its whole interval lies below.
    """
    highs = {dx: row["coverage"]["high"] for dx, row in sets["classes"].items()}
    return [dx for dx, high in highs.items() if high is not None and high < coverage]


def _environment():
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(score=_score, number=number, share=_share, cell=_cell)
    environment.filters.update(key_in_words=key_in_words, in_text=in_text, in_prose=in_prose)
    environment.filters.update(count="{:,}".format, missed=find_missed)
    return environment


def _score(score, decimals=2) -> str:
    """Write an estimate, `0.62 (0.57–0.67)`; a dash where it is not defined."""
    text = number(score["value"], decimals)
    ends = [number(score[end], decimals) for end in ("low", "high")]
    return text if MISSING in ends else f"{text} ({'–'.join(ends)})"


def _share(count, whole) -> str:
    """Write a share as a percentage, `53 %`."""
    return f"{count / whole:.0%}".replace("%", " %") if whole else MISSING


def _cell(text) -> str:
    """Write any text so that it stays inside its cell and is no HTML."""
    text = " ".join(str(text).split()).replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;")
