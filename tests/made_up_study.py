"""A made-up study of two models: what the report reads, in memory and as files."""

import copy
import functools
import json

import cv2
import numpy as np
import pandas as pd

from lesions.bootstrap import Protocol
from lesions.calibration import apply_calibration, calibrate, calibration_part
from lesions.evaluation import evaluate, gather_test, make_tables
from lesions.exploration import describe_cohort
from lesions.paired import mcnemar, paired_differences
from lesions.panels import COHORT
from lesions.tables import to_json
from lesions.taxonomy import CODES, PROBABILITIES

N_IMAGES = {"akiec": 40, "bcc": 45, "bkl": 60, "df": 30, "mel": 65, "nv": 210, "vasc": 30}
FOLDERS = ("cohort", "details", "mistakes", "roc", "precision_recall", "reliability", "referral")
SETTINGS = {"n_resamples": 100, "confidence": 0.95, "min_group_size": 30, "calibration_bins": 15}


def make_labels(rng):
    """Give HAM10000's columns and `label`; every third lesion has two images."""
    n_images = sum(N_IMAGES.values())
    dx = np.repeat(CODES, list(N_IMAGES.values()))
    first = np.arange(n_images)
    first[2::3] -= 1
    first = np.where(dx[first] == dx, first, np.arange(n_images))
    columns = {
        "lesion_id": [f"HAM_{i:07d}" for i in first],
        "image_id": [f"ISIC_{i:07d}" for i in range(n_images)],
        "dx": dx,
        "dx_type": np.where(dx == "nv", "follow_up", "histo"),
        "age": rng.choice(["", "5", "30", "50", "70", "80"], n_images, p=[0.02] + 5 * [0.196]),
        "sex": rng.choice(["male", "female", ""], n_images, p=[0.5, 0.47, 0.03]),
        "localization": rng.choice(["back", "face", "acral"], n_images, p=[0.6, 0.35, 0.05]),
    }
    label = pd.Series(dx).map(CODES.index)
    return pd.DataFrame(columns).astype(object).assign(label=label)


def predict(labels, partitions, rng, *, skill):
    """Give a predictions table; the larger the skill, the more often it is right."""
    logits = rng.normal(size=(len(labels), 7)) + skill * np.eye(7)[labels["label"]]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.concat([partitions, labels[["label"]]], axis=1)
    table[list(PROBABILITIES)] = probabilities.round(6)
    return table[partitions["partition"] != "train"]


def make_picture(text, *, width=400):
    """Give a PNG, half as high as wide."""
    pixels = np.full((width // 2, width, 3), 235, np.uint8)
    cv2.putText(pixels, text, (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, (90, 40, 20), 2)
    return cv2.imencode(".png", pixels)[1].tobytes()


def make_study(*, models=("cnn", "vgg16"), calibrated=True, leaks=True, external=()):
    """Give what `lesions.report.render` takes as `inputs`, and the tables behind it.

    Both are the caller's own, to be altered.
    """
    return copy.deepcopy(_study(models, calibrated, leaks, external))


@functools.cache
def _study(models, calibrated, leaks, external):
    rng = np.random.default_rng(5)
    labels = make_labels(rng)
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    unit = labels["image_id"] if leaks else labels["lesion_id"]
    part = dict(zip(unit, rng.choice(["train", "cal", "test"], len(unit)), strict=True))
    partitions = labels[["image_id"]].assign(partition=unit.map(part))
    inputs = {"external": {name: {} for name in external}}
    predictions, scored = {}, {}
    for model, skill in zip(models, (3.0, 1.5), strict=False):
        predictions[model] = predict(labels, partitions, rng, skill=skill)
        calibration = calibrate(
            calibration_part(predictions[model], labels, groups),
            method="temperature" if calibrated else "none",
            coverage=0.9,
            seed=1,
        )
        test = gather_test(predictions[model], labels, groups=groups, partitions=partitions)
        shared = {"calibration": calibration, "seed": 1, **SETTINGS}
        found = make_tables(test, calibration=calibration, calibration_bins=15)
        found |= {"details": rounded(evaluate(test, **shared)[1]), "mistakes": make_picture(model)}
        for name in set(FOLDERS) - {"cohort"}:
            inputs.setdefault(name, {})[model] = found[name]
        for name in external:
            inputs["external"][name][model] = rounded(evaluate(test[::2], **shared)[1])
        scored[model] = apply_calibration(test[list(PROBABILITIES)].to_numpy(), calibration)
    inputs |= of_the_whole(labels, partitions, test, models)
    inputs["differences"] = rounded({"pairs": compare(test, scored)})
    return inputs, {"labels": labels, "groups": groups, "partitions": partitions} | predictions


def of_the_whole(labels, partitions, test, models):
    """Give the inputs that are of no single model."""
    counts = partitions["partition"].value_counts()
    trained = labels[partitions["partition"] == "train"]
    return {
        "cohort": {name: describe_cohort(labels)[name] for name in COHORT},
        "contact_sheet": make_picture("contact sheet"),
        "near_duplicates": make_picture("near-duplicates"),
        "learning_curves": make_curves(models),
        "comparison_table": pd.DataFrame(
            {"model": ["cnn", "cnn"], "source": ["measured", "published"], "accuracy": [0.8, 0.72]}
        ),
        "split": {f"n_{name}": int(counts.get(name, 0)) for name in ("train", "val", "cal", "test")}
        | {"n_test_sharing_a_lesion_with_train": int(test["lesion_in_training"].sum())},
        "balance": {
            "before": {dx: int((trained["dx"] == dx).sum()) for dx in CODES},
            "after": dict.fromkeys(CODES, 70),
        },
        "audit": {"n_images": len(labels), "recall": 0.875, "rotations": [0, 90]},
    }


def compare(test, scored):
    """Give the pairs of `metrics/differences.json`."""
    protocol = Protocol(100, 0.95, 15, 1)
    truth, lesions = test["label"].to_numpy(), test["lesion_id"].to_numpy()
    models = list(scored)
    return [
        {
            "model": a,
            "other": b,
            "measures": paired_differences(truth, scored[a], scored[b], lesions, protocol),
            "mcnemar": mcnemar(truth, scored[a], scored[b]),
        }
        for i, a in enumerate(models)
        for b in models[i + 1 :]
    ]


def make_curves(models):
    rows = [
        (model, partition, epoch, 1 - 1 / (epoch + i + 1), 2 / epoch)
        for i, model in enumerate(models)
        for partition in ("train", "val")
        for epoch in (1, 2, 3)
    ]
    return pd.DataFrame(rows, columns=["model", "partition", "epoch", "accuracy", "loss"])


def rounded(content):
    """Give JSON as the stages write it: four decimals."""
    return json.loads(to_json(content, decimals=4))


def write_study(folder, inputs, tables):
    """Write the study's files into a folder; give the flags of `stages/report.py` that read it."""
    flags = {"predictions": "predictions"}
    for name, value in (inputs | tables).items():
        if name in FOLDERS:
            flags[name] = name
            for key, item in value.items():
                save(folder / name / key, item)
        elif name in inputs["details"]:
            save(folder / "predictions" / name, value)
        elif name != "external":
            flags[name] = save(folder / name, value).name
    for name, scores in inputs["external"].items():
        for model, content in scores.items():
            save(folder / "details" / f"{model}_on_{name}", content)
    return [part for name, file in flags.items() for part in (f"--{name.replace('_', '-')}", file)]


def save(path, value):
    """Write bytes as PNG, a table as CSV, anything else as JSON; give the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        file = path.with_name(f"{path.name}.png")
        file.write_bytes(value)
    elif isinstance(value, pd.DataFrame):
        file = path.with_name(f"{path.name}.csv")
        value.to_csv(file, index=False)
    else:
        file = path.with_name(f"{path.name}.json")
        file.write_text(json.dumps(value), encoding="utf-8")
    return file
