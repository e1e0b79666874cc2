"""Stage `export`: write a model as one ONNX file, and compare it with Keras."""

from lesions.pipeline.cli import read_params, read_paths

import hashlib

import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.calibration.calibrate import calibrate, collect_calibration_images
from lesions.evaluation.calibration.decision import fit_decision
from lesions.evaluation.evaluate import evaluate_set
from lesions.export.artefact import (
    choose_threshold,
    describe,
    export_network,
    write_artefact,
)
from lesions.export.parity import compare_with_keras, largest_batch_difference
from lesions.export.scores import summarize
from lesions.imaging.photographs import open_photographs
from lesions.inference import self_test
from lesions.inference.exported import ExportedModel
from lesions.inference.predict import find_pixels
from lesions.networks.backend import configure_tensorflow
from lesions.networks.saving import load_network, read_trained_on
from lesions.pipeline.files import read_json, read_table, write_json
from lesions.taxonomy import probability_columns

TABLES = ("predictions", "labels", "groups", "partitions")
N_ALONE = 32  # images that are predicted one by one as well


def main():
    inputs = ("images", "raw", "model", "calibration")
    paths = read_paths(__doc__, "name", *TABLES, *inputs, "artefact", "parity")
    params = read_params()
    configure_tensorflow(seed=params.seed, threads=params.threads)
    keras, labels, groups, partitions = (read_table(getattr(paths, name)) for name in TABLES)
    settings = params.exports[paths.name]
    network = load_network(paths.model)
    resize = dict(params.resize) | {"pixels": find_pixels(network)}
    source = paths.images if resize["pixels"] == params.resize.pixels else paths.raw
    images = open_photographs(source, labels["image_path"], **resize)

    train = np.flatnonzero(partitions["partition"] == "train")
    model = export_network(
        network, images, train, weights=settings.weights, seed=params.seed, threads=params.threads
    )
    facts = describe(
        name=paths.name,
        weights=settings.weights,
        settings=params.model_dump(include={"profile", "classes", "sets", "resize", "predict"}),
        pixels=resize["pixels"],
        trained_on=read_trained_on(paths.model),
        model_sha256=hashlib.sha256(paths.model.read_bytes()).hexdigest(),
    )
    write_artefact(model, facts, paths.artefact)

    # What is fitted on probabilities is fitted on the artefact's own; test images choose nothing.
    exported = ExportedModel(paths.artefact, threads=params.threads)
    held_out = partitions["partition"].isin(["val", "cal"]).to_numpy()
    probabilities, distances = exported.raw(images, np.flatnonzero(held_out))
    table = partitions[held_out].assign(label=labels.loc[held_out, "label"])
    table[probability_columns(params.classes.codes)] = probabilities.round(6)
    fitted = params.calibrate.model_dump(exclude={"decision"})
    rows = collect_calibration_images(table, labels, groups, partition=fitted["partition"])
    calibration = calibrate(rows, seed=params.seed, **fitted)
    rule = {"rule": params.calibrate.decision, "calibration": calibration}
    calibration["decision"] = fit_decision(table, labels, partitions, **rule)
    is_val = (table["partition"] == "val").to_numpy()
    facts["calibration"] = calibration
    facts["distance"] = choose_threshold(distances[is_val], false_alarms=settings.false_alarms)
    write_artefact(model, facts, paths.artefact)

    calibrations = {"keras": read_json(paths.calibration), "exported": calibration}
    units = groups.rename(columns={"group": "unit"})
    bootstrap = (params.evaluate.n_resamples, params.evaluate.confidence)
    config = BootstrapConfig(*bootstrap, params.evaluate.calibration_bins, params.seed)
    parity = compare_with_keras(keras, table, calibrations, units, config)
    tables = {"predictions": table, "labels": labels, "groups": groups, "partitions": partitions}
    scoring = params.evaluate.model_dump(exclude={"partition", "decimals", "n_mistakes"})
    scoring |= {"malignant": params.classes.malignant, "excluded": {}, "seed": params.seed}
    details, _ = evaluate_set("study", tables, partition="val", calibration=calibration, **scoring)
    alone = images[np.flatnonzero(held_out)[:N_ALONE]]
    parity |= {
        "batch_difference": largest_batch_difference(exported, alone),
        "bytes": paths.artefact.stat().st_size,
        "scores": summarize(details),
        "self_test": self_test.answer(ExportedModel(paths.artefact, threads=params.threads)),
    }
    write_json(paths.parity, parity, decimals=params.evaluate.decimals)


if __name__ == "__main__":
    main()
