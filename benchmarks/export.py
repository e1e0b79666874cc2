"""An exported model beside Keras: size, agreement, and time of a batch of 1 and of 64.

`python benchmarks/export.py NAME`, in a repository whose study has the model NAME. It exports the
model with each kind of weights, predicts the validation images with each, and times them in turn.
Nothing of the study is changed.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from side_by_side import summarize, time_call, write_results

from lesions.config import read_params
from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.export.artefact import describe, export_network, write_artefact
from lesions.export.parity import compare_with_keras
from lesions.imaging.photographs import open_photographs
from lesions.inference.exported import ExportedModel
from lesions.inference.predict import find_pixels, predict_images
from lesions.networks.backend import configure_tensorflow
from lesions.networks.saving import load_network
from lesions.taxonomy import probability_columns

SIZES = (1, 64)
WEIGHTS = ("float32", "float16", "int8")


def main():
    """Export, compare and time, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    params = read_params(Path("params.yaml"))
    configure_tensorflow(seed=params.seed, threads=params.threads)
    study, file = Path("data/sets/study"), Path(f"models/{options.name}.keras")
    labels, groups, partitions = (
        pd.read_csv(study / f"{name}.csv", dtype={"group": str})
        for name in ("labels", "groups", "partitions")
    )
    network = load_network(file)
    resize = dict(params.resize) | {"pixels": find_pixels(network)}
    source = study / ("images.npy" if resize["pixels"] == params.resize.pixels else "raw")
    images = open_photographs(source, labels["image_path"], **resize)
    val = np.flatnonzero(partitions["partition"] == "val")
    train = np.flatnonzero(partitions["partition"] == "train")
    tables = {"keras": predict_images(network, images, rows=val, codes=params.classes.codes)}
    models = {}
    sizes = {"keras": file.stat().st_size}
    with tempfile.TemporaryDirectory() as folder:
        for weights in WEIGHTS:
            model = export_network(
                network, images, train, weights=weights, seed=params.seed, threads=params.threads
            )
            facts = describe(
                name=options.name,
                weights=weights,
                settings=params.model_dump() | {"predict": {"tta": "none"}},
                pixels=resize["pixels"],
                trained_on={},
                model_sha256="",
            )
            path = Path(folder) / f"{weights}.onnx"
            write_artefact(model, facts, path)
            models[weights] = ExportedModel(path, threads=params.threads)
            sizes[weights] = path.stat().st_size
            raw, _ = models[weights].raw(images, val)
            columns = probability_columns(params.classes.codes)
            tables[weights] = pd.DataFrame(raw, columns=columns)
    known = {"partition": "val", "image_id": labels["image_id"], "label": labels["label"]}
    tables = {
        n: t.assign(**pd.DataFrame(known).iloc[val].reset_index(drop=True))
        for n, t in tables.items()
    }
    units = groups.rename(columns={"group": "unit"})
    config = BootstrapConfig(seed=params.seed)
    raw = {key: {"temperature": None} for key in ("keras", "exported")}
    agreement = []
    for weights in WEIGHTS:
        found = compare_with_keras(tables["keras"], tables[weights], raw, units, config)
        measures = {
            name.replace(
                "_", " "
            ): f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
            for name, row in found["differences"].items()
        }
        row = {
            "weights": weights,
            "MB": sizes[weights] / 1e6,
            "of Keras": sizes[weights] / sizes["keras"],
        }
        row |= {"largest difference": f"{found['largest_difference']:.1e}"}
        agreement.append(row | {"same class": f"{found['same_class']:.4f}"} | measures)
    write_results("export", agreement, settings=vars(options) | {"n_images": len(val)})
    print()
    batch = {size: np.asarray(images[val[:size]], np.float32) for size in SIZES}
    calls = {("keras", size): (network.predict_on_batch, batch[size]) for size in SIZES}
    for weights, model in models.items():
        calls |= {(weights, size): (logits_of(model), batch[size]) for size in SIZES}
    for call, argument in calls.values():
        call(argument)  # the first is slower
    seconds = {key: [] for key in calls}
    for _ in range(options.rounds):
        for key, (call, argument) in calls.items():
            repeats = 64 // key[1]
            seconds[key].append(sum(time_call(call, argument) for _ in range(repeats)) / repeats)
    rows = []
    for size in SIZES:
        for name in ("keras", *WEIGHTS):
            ratios = np.divide(seconds["keras", size], seconds[name, size]).tolist()
            milliseconds = summarize([1000 * value for value in seconds[name, size]])
            rows.append(
                {
                    "images": size,
                    "model": name,
                    "ms": milliseconds,
                    "times as fast": summarize(ratios),
                }
            )
    write_results("export_speed", rows, settings=vars(options) | {"threads": params.threads})


def logits_of(model):
    """Return a function from images to logits."""
    return lambda images: model.run(images, outputs=("logits",))


if __name__ == "__main__":
    main()
