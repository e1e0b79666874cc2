"""`lesions evaluate`: the study's evaluation of a model on labelled photographs, as files."""

import io
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pandas as pd

from lesions.app.formats import DISCLAIMER, SETS, as_facts
from lesions.datasets.image_files import find_images
from lesions.datasets.ingest import ingest_folder
from lesions.datasets.labels import encode_labels
from lesions.datasets.metadata import EXCLUDED, find_raw_metadata, read_metadata
from lesions.evaluation.evaluate import evaluate_set
from lesions.figures.confusion import draw_confusion
from lesions.figures.style import save_figure
from lesions.imaging.photographs import Photographs
from lesions.inference.exported import ExportedModel
from lesions.report.values import score
from lesions.taxonomy import probability_columns

SETTINGS = {
    "n_resamples": 2000,
    "confidence": 0.95,
    "min_group_size": 30,
    "calibration_bins": 15,
    "seed": 0,
}
HEADLINE = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "roc_auc_macro": "macro ROC AUC",
    "average_precision_macro": "macro average precision",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}
CLASS_MEASURES = ("sensitivity", "ppv", "f1", "roc_auc")


def evaluate(folder: Path, path: Path, out: Path, **source: object) -> int:
    """Score a model on the photographs in a folder; write tables and a report; return 0.

    Parameters
    ----------
    folder
        Photographs and metadata, in any layout that stage `ingest` reads.
    path
        Of the model.
    out
        Folder to write: `report.md`, `details.json`, `predictions.csv`, `confusion.png` and the
        tables of stage `evaluate`. It must not exist, or be empty.
    source
        `layout`, `map` and `exclude`, as of `sets.<set>.source` in params.yaml.

    Raises
    ------
    ValueError
        If the folder has a fault, as in stage `ingest`, or `out` has files.
    """
    print(DISCLAIMER, file=sys.stderr)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} already exists; name another folder with --out, or remove it")
    model = ExportedModel(path)
    with _new_folder(out), tempfile.TemporaryDirectory(prefix="lesions-") as temporary:
        raw = Path(temporary) / "raw"
        _ingest(folder, raw, codes=model.codes, **source)
        metadata = read_metadata(find_raw_metadata(raw), codes=model.codes)
        encoded = encode_labels(metadata, find_images(raw), codes=model.codes)
        labels = _as_read(encoded, Path(temporary) / "labels.csv")
        excluded = pd.read_csv(raw / EXCLUDED, dtype={"value": str}, keep_default_na=False)
        files = [raw / image for image in labels["image_path"]]
        photographs = Photographs(files, **model.facts["resize"])
        raw_probabilities, distances = model.raw(photographs)
        found = model.conclude(raw_probabilities, distances)
        details, tables = _score(model, str(folder), labels, raw_probabilities, excluded)
        unusual = None if found.distances is None else float((found.distances > 1).mean())
        details |= {"model": model.facts["name"], "out_of_distribution": unusual}
        _list_predictions(labels, found, model.codes).to_csv(out / "predictions.csv", index=False)
        for name, table in tables.items():
            table.to_csv(out / f"{name}.csv", index=False)
        (out / "details.json").write_text(json.dumps(details, indent=2) + "\n", encoding="utf-8")
        name = {"model": model.facts["name"], "name": folder.name}
        save_figure(draw_confusion(details, note=DISCLAIMER, **name), out / "confusion.png")
        report = describe(details, model.facts)
        (out / "report.md").write_text(report, encoding="utf-8")
    print(report)
    print(f"All files are in {out}", file=sys.stderr)
    return 0


@contextmanager
def _new_folder(out):
    """Create a folder before the work that fills it; remove it if that fails at once."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not any(out.iterdir()):
            out.rmdir()
        raise


def _score(model, name, labels, raw_probabilities, excluded):
    """Return details and tables of stage `evaluate`; all photographs count as test images."""
    predictions = labels[["image_id", "label"]].assign(partition="test")
    predictions[probability_columns(model.codes)] = raw_probabilities
    details, tables = evaluate_set(
        name,
        {
            "predictions": predictions,
            "labels": labels,
            "groups": labels[["image_id"]].assign(group=labels["lesion_id"]),
            "partitions": predictions[["image_id", "partition"]],
        },
        partition="test",
        calibration=model.facts["calibration"],
        malignant=model.facts["malignant"],
        excluded=excluded.set_index("value")["n_images"].to_dict(),
        **SETTINGS,
    )
    details["says"] = (
        f"Scored on all {len(labels)} photographs of {name}. Whether the model was trained on "
        "some of them is not checked; if it was, these scores are too high."
    )
    return details, tables


def _list_predictions(labels, found, codes):
    """Return what `lesions predict --csv` says of each photograph, after its diagnosis."""
    rows = [as_facts(image, found, row, codes) for row, image in enumerate(labels["image_id"])]
    listed = pd.DataFrame(rows).rename(columns={"file": "image_id"})
    probabilities = pd.DataFrame(listed.pop("probabilities").tolist()).add_prefix("p_")
    for key in SETS:
        listed[key] = listed[key].map(
            lambda members: None if members is None else " ".join(members)
        )
    listed.insert(1, "dx", labels["dx"].to_numpy())
    return pd.concat([listed.iloc[:, :3], probabilities, listed.iloc[:, 3:]], axis=1)


def describe(details: Mapping, facts: Mapping) -> str:
    """Return the report of an evaluation, in Markdown.

    Parameters
    ----------
    details
        As from `lesions.evaluation.evaluate.evaluate`, with `model` and `out_of_distribution`.
    facts
        Of the model.
    """
    bootstrap = details["bootstrap"]
    headline = pd.DataFrame(
        [(words, score(details["headline"][key], 3)) for key, words in HEADLINE.items()],
        columns=["measure", "value"],
    )
    classes = pd.DataFrame(
        [
            {"diagnosis": f"{dx}, {facts['classes'][dx]}", "images": row["n_images"]}
            | {key.replace("_", " "): score(row[key]) for key in CLASS_MEASURES}
            for dx, row in details["classes"].items()
            if row["n_images"]
        ]
    )
    parts = [
        f"# {facts['name']} on {details['n_images']} photographs",
        f"> {DISCLAIMER}",
        f"{details['says']} Brackets: {100 * bootstrap['confidence']:g} % bootstrap intervals; "
        f"resampled are {bootstrap['resampled']}. Probabilities are {details['probabilities']}.",
        headline.to_markdown(index=False),
        "## By diagnosis",
        classes.to_markdown(index=False),
    ]
    if details["classes_without_images"]:
        parts.append(f"Without photographs: {', '.join(details['classes_without_images'])}.")
    if sets := details["conformal"]:
        found = {kind: sets[kind]["all"] for kind in ("marginal", "class_conditional")}
        table = pd.DataFrame(
            [
                (kind.replace("_", "-"), score(row["coverage"]), score(row["mean_set_size"]))
                for kind, row in found.items()
            ],
            columns=["prediction sets", "coverage", "mean size"],
        )
        nominal = f"Their nominal coverage is {sets['coverage']:g}."
        parts += ["## Prediction sets", table.to_markdown(index=False), nominal]
    if details["out_of_distribution"] is not None:
        parts.append(
            f"{100 * details['out_of_distribution']:.1f} % of the photographs look unlike the "
            f"training photographs; of the validation photographs, "
            f"{100 * facts['distance']['false_alarms']:g} % do."
        )
    confusion = pd.DataFrame(details["confusion"]).T.rename_axis("diagnosis")
    parts += ["## Confusion matrix", confusion.to_markdown(), "Columns are predicted classes."]
    return "\n\n".join(parts) + "\n"


def _ingest(folder, raw, **options):
    """Bring the photographs into one layout; messages name the command's options, not settings."""

    def with_options(text):
        text = re.sub(r"FOLDER\.(map|exclude|layout)", r"--\1", text)
        return text.replace("FOLDER.path", "it").replace(", or run 'dvc pull'", "")

    notes = io.StringIO()
    try:
        with redirect_stdout(notes):
            ingest_folder(folder, raw, extra_images="ignore", setting="FOLDER.path", **options)
    except ValueError as error:
        raise ValueError(with_options(str(error))) from None
    print(with_options(notes.getvalue()), end="", file=sys.stderr)


def _as_read(labels, file):
    """Return labels as stages read them from their file: numbers where all values are."""
    labels.to_csv(file, index=False)
    return pd.read_csv(file, dtype=dict.fromkeys(("image_id", "lesion_id", "patient_id"), str))
