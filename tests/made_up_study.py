"""A made-up study of two models: what report and card read, in memory and as files."""

import copy
import functools
import json

import cv2
import numpy as np
import pandas as pd
from cloned import ROOT
from made_up import CLASSES, CODES, MALIGNANT, PROBABILITIES

from lesions.datasets.cohort_summary import summarize_cohort
from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.calibration.calibrate import calibrate, collect_calibration_images
from lesions.evaluation.calibration.decision import fit_decision
from lesions.evaluation.comparison import (
    compare_models,
    compare_pairs,
    stack_learning_curves,
    stack_tables,
)
from lesions.evaluation.evaluate import evaluate, make_tables
from lesions.evaluation.images.choice import why_not_scored
from lesions.evaluation.images.metadata import collect_images, describe_unscored
from lesions.report.page import render
from lesions.sampling.split import count_partitions
from lesions.taxonomy import keep_scored

N_IMAGES = {"akiec": 40, "bcc": 45, "bkl": 60, "df": 30, "mel": 65, "nv": 210, "vasc": 30}
BOOTSTRAP = {"n_resamples": 100, "confidence": 0.95, "min_group_size": 30, "calibration_bins": 15}
TRAINING = {"learning_rate": 0.001, "batch_size": 32, "epochs": 12, "keep_epoch": "val_loss"}
NETWORKS = ("cnn", "vgg16")  # any other model is an ensemble of them
MACHINE = {"cpu": "A CPU, family 1", "instruction_sets": "avx2 fma", "keras": "3.15.1"}


def make_settings(models=NETWORKS, external=(), partition="test"):
    """All settings of params.yaml, as the schema returns them."""
    known = {
        "cnn": {
            "architecture": "cnn",
            "inputs": "images.npy",
            "rows": "train",
            "input_pixels": 32,
            "filters": [32, 64],
            "dense_units": [128, 64],
            "dropout": 0.3,
            "batch_norm_momentum": 0.9,
            **TRAINING,
        },
        "vgg16": {
            "architecture": "dense",
            "inputs": "features/vgg16",
            "rows": "resampled",
            "standardize_features": True,
            "dense_units": [64],
            "dropout": 0.3,
            **TRAINING,
        },
    }
    backbone = {
        "architecture": "applications",
        "network": "VGG16",
        "weights": "random",
        "weights_sha256": None,
        "input_pixels": 32,
        "preprocessing": "imagenet",
        "pooling": "flatten",
    }
    study = {
        "source": {"kind": "synthetic", "path": "data/source", "n_images": 480, "seed": 7},
        "split": {"by": "group", **dict.fromkeys(("test_size", "val_size", "cal_size"), 0.1)},
    }
    study["split"] |= {"folds": 0, "fold": 0}
    other = {
        "source": {"kind": "folder", "path": "data/other", "extra_images": "refuse"},
        "split": {"by": "none"},
    }
    return {
        "profile": "demo",
        "seed": 42,
        "threads": 2,
        "classes": CLASSES,
        "sets": dict.fromkeys(external, other) | {"study": study},
        "explore": {"photographs_per_class": 8},
        "resize": {"pixels": 32, "interpolation": "linear", "crop": "none", "decode": "full"},
        "audit": {
            "method": "both",
            "similarity": 0.991,
            "min_matches": 10,
            "n_neighbors": 5,
            "search": "exact",
        },
        "balance": {"method": "adasyn", "n_neighbors": 5},
        "backbones": {"vgg16": backbone} if "vgg16" in models else {},
        "models": {model: known[model] for model in models if model in NETWORKS},
        "ensembles": {
            model: {"models": list(NETWORKS), "weights": "validation"}
            for model in models
            if model not in NETWORKS
        },
        "exports": {},
        "predict": {"tta": "none"},
        "calibrate": {"method": "temperature", "partition": "cal", "coverage": 0.9}
        | {"decision": "plain"},
        "evaluate": {"partition": partition, "decimals": 4, "n_mistakes": 24, **BOOTSTRAP},
        "repeat": {"by": "seed"},
    }


def draw_page(inputs, **changes):
    """The report of `inputs`, with other settings if wished."""
    sets = next(iter(inputs["details"].values()))
    partition = sets["study"]["partition"] or "test"
    external = tuple(name for name in sets if name != "study")
    settings = make_settings(tuple(inputs["details"]), external, partition)
    template = (ROOT / "templates" / "report.html.j2").read_text(encoding="utf-8")
    return render(template, inputs, settings=settings | changes, fingerprints={"a.csv": "f00d"})


def make_labels(rng):
    """HAM10000's columns and `label`; every third lesion has two images."""
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
    """A table of predictions; the larger the skill, the more often it is right."""
    logits = rng.normal(size=(len(labels), 7)) + skill * np.eye(7)[labels["label"]]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.concat([partitions, labels[["label"]]], axis=1)
    table[list(PROBABILITIES)] = probabilities.round(6)
    return table[partitions["partition"] != "train"]


def make_picture(text, *, width=400):
    """A PNG, half as high as wide."""
    pixels = np.full((width // 2, width, 3), 235, np.uint8)
    cv2.putText(pixels, text, (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, (90, 40, 20), 2)
    return cv2.imencode(".png", pixels)[1].tobytes()


def make_study(
    *,
    models=NETWORKS,
    calibrated=True,
    leaks=True,
    external=(),
    partitions=("train", "cal", "test"),
    partition="test",
    rule="plain",
    fitted_on="cal",
):
    """What `lesions.report.inputs.read_inputs` returns, for report and card; free to be changed.

    External sets are half of the study's test images, or where it has none of its validation
    images. With `partition="val"` these are scored and nothing else.
    """
    settings = (models, calibrated, leaks, external, partitions, partition, rule, fitted_on)
    return copy.deepcopy(_study(*settings))


@functools.cache
def _study(models, calibrated, leaks, external, names, scored, rule, fitted_on):
    rng = np.random.default_rng(5)
    labels = make_labels(rng)
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    unit = labels["image_id"] if leaks else labels["lesion_id"]
    partition = dict(zip(unit, rng.choice(names, len(unit)), strict=True))
    partitions = labels[["image_id"]].assign(partition=unit.map(partition))
    sets = ("study", *external)
    predictions, calibrations, details, tables = {}, {}, {}, {}
    for model, skill in zip(models, (3.0, 1.5), strict=False):
        predictions[model] = predict(labels, partitions, rng, skill=skill)
        calibration = calibrate(
            collect_calibration_images(predictions[model], labels, groups, partition=fitted_on),
            method="temperature" if calibrated else "none",
            partition=fitted_on,
            coverage=0.9,
            seed=1,
        )
        tables_of_all = (predictions[model], labels, partitions)
        calibration["decision"] = fit_decision(*tables_of_all, rule=rule, calibration=calibration)
        held_out = "test" if "test" in names and scored == "test" else "val"
        images = collect_images(
            predictions[model], labels, groups=groups, partitions=partitions, partition=held_out
        )
        shared = {"calibration": calibration, "seed": 1, "partition": scored, **BOOTSTRAP}
        calibrations[model] = as_written(calibration)
        reasons = {
            name: why_not_scored(name, predictions[model], partition=scored) for name in sets
        }
        tested = {name: images[::2] if name in external else images for name in sets}
        tested = {name: table for name, table in tested.items() if not reasons[name]}
        details[model] = {
            name: as_written(
                evaluate(tested[name], **shared, malignant=MALIGNANT, excluded={})
                if name in tested
                else describe_unscored(
                    reasons[name], labels, excluded={}, confidence=0.95, n_resamples=100
                )
            )
            for name in sets
        }
        tables[model] = {
            name: make_tables(t, calibration=calibration, calibration_bins=15, malignant=MALIGNANT)
            for name, t in tested.items()
        }
    pairs = compare_pairs(
        predictions,
        calibrations,
        images,
        BootstrapConfig(100, 0.95, 15, 1),
        partition=held_out,
    )
    n_train = labels["dx"][partitions["partition"] == "train"].value_counts()
    published = {models[0]: {"n_images": 2003, "accuracy": 0.72}} if scored == "test" else {}
    return {
        "details": details,
        "calibrations": calibrations,
        "trained_on": {model: MACHINE for model in models if model in NETWORKS},
        "weights": {
            model: {"cnn": 0.25, "vgg16": 0.75} for model in models if model not in NETWORKS
        },
        "differences": as_written({"pairs": pairs}),
        "audit": {
            "n_images": len(labels),
            "n_pairs_within_lesions": 120,
            "n_pairs_within_lesions_found": 105,
            "sensitivity": 0.875,
            "n_pairs_across_lesions_found": 1234,
        },
        "partitions": count_partitions(labels, partitions, groups, codes=CODES),
        "cohort": summarize_cohort(labels, codes=CODES),
        "labels": labels,
        "balance": pd.DataFrame(
            [(dx, "train", int(n_train[dx])) for dx in CODES]
            + [(dx, "resampled", 70) for dx in CODES],
            columns=["dx", "rows", "n_images"],
        ),
        "scores": compare_models(
            {model: keep_scored(sets) for model, sets in details.items()}, published=published
        ),
        "learning_curves": stack_learning_curves(
            {model: make_curve(rank) for rank, model in enumerate(models) if model in NETWORKS},
            monitored=dict.fromkeys(models, pd.DataFrame()),
        ),
        "contact_sheet": make_picture("contact sheet"),
        "near_duplicates": make_picture("near-duplicates"),
        "mistakes": {model: make_picture(model) for model in models},
    } | {
        name: stack_tables({m: {s: t[name] for s, t in own.items()} for m, own in tables.items()})
        for name in ("confusion", "roc", "precision_recall", "reliability", "referral")
    }


def make_curve(rank):
    epoch = pd.Series([1, 2, 3])
    curve = pd.DataFrame(
        {
            "epoch": epoch,
            "accuracy": 1 - 1 / (epoch + 1 + rank),
            "loss": (2 + rank) / epoch,
            "n_predicted_classes": 7,
        }
    )
    val = (curve[["accuracy", "loss"]] * 0.9).assign(n_predicted_classes=7)
    return curve.join(val.add_prefix("val_"))


def as_written(content):
    """JSON as the stages write it: four decimals."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, list):
            return [rounded(item) for item in value]
        return round(value, 4) if isinstance(value, float) else value

    return json.loads(json.dumps(rounded(content), allow_nan=False))


def write_study(folder, inputs):
    """Write the files of `inputs` as the stages do; return the flags that name them."""
    for model, sets in inputs["details"].items():
        for name, details in sets.items():
            save(folder / f"evaluation/{name}/{model}/details.json", details)
            save(folder / f"predictions/{name}/{model}.csv", inputs["scores"])
        save(folder / f"evaluation/calibration/{model}.json", inputs["calibrations"][model])
        origin = (inputs["trained_on"] | inputs["weights"])[model]
        save(folder / f"predictions/study/{model}.json", origin)
        save(folder / f"plots/mistakes/{model}.png", inputs["mistakes"][model])
    tables = ("scores", "confusion", "roc", "precision_recall", "reliability", "referral")
    for name in (*tables, "learning_curves"):
        save(folder / f"plots/comparison/{name}.csv", inputs[name])
    save(folder / "plots/comparison/differences.json", inputs["differences"])
    save(folder / "audit/counts.json", inputs["audit"])
    save(folder / "audit/near_duplicates.png", inputs["near_duplicates"])
    for name in ("partitions", "cohort", "balance", "labels"):
        save(folder / f"{name}.csv", inputs[name])
    save(folder / "contact_sheet.png", inputs["contact_sheet"])
    return {
        "evaluations": "evaluation",
        "predictions": "predictions",
        "comparison": "plots/comparison",
        "mistakes": "plots/mistakes",
        "audit": "audit",
        "contact_sheet": "contact_sheet.png",
        **{name: f"{name}.csv" for name in ("partitions", "cohort", "balance", "labels")},
    }


def save(path, value):
    """Write bytes, a table or JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        path.write_bytes(value)
    elif isinstance(value, pd.DataFrame):
        value.to_csv(path, index=False)
    else:
        path.write_text(json.dumps(value), encoding="utf-8")
