"""From an edit to its result: one setting of a model changed, until the new metrics are there.

A study of HAM10000's size is run once, unmeasured. Then, in turn: `models.<model>.dropout` is
changed and `dvc repro` run; and the notebook's training of that model is timed, in which all
resampled images pass through the frozen backbone in every epoch. It is timed for two epochs on some
of the rows; from the second, which compiles nothing, the full time is computed in proportion to
rows and epochs. The notebook's evaluation is left out. Both have the settings of params.yaml and
random weights.

`python benchmarks/edit.py` takes about fifteen minutes, nearly all of them for the first run.
"""

import argparse
import tempfile
import time
from pathlib import Path

import notebook
import numpy as np
from side_by_side import call_in_process, summarize, time_call, write_results
from study import copy_repository, read_settings, run, write_settings

from lesions.config import read_params
from lesions.datasets.ham10000 import CODES
from lesions.networks import load_build
from lesions.networks.backend import configure_tensorflow, keras
from lesions.networks.layers import join
from lesions.sampling.mixing import load_mixing

DROPOUTS = (0.4, 0.5, 0.6, 0.2, 0.1)


def main():
    """Change the setting several times, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("vgg16", "resnet50"), default="vgg16")
    parser.add_argument("--images", type=int, default=10_015)
    parser.add_argument("--rows", type=int, default=1000, help="on which the notebook is timed")
    parser.add_argument("--edits", type=int, default=3, help=f"at most {len(DROPOUTS)}")
    options = parser.parse_args()
    model = options.model

    def keep_one_model(params):
        for section in ("backbones", "models"):
            params[section] = {model: params[section][model]}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_repository(folder, options.images, keep_one_model)
        first = time_call(run, folder, "dvc", "repro")
        n_rows = load_mixing(folder / "data/sets/study/mixing.npz")[0].shape[0]
        edits, trainings = [], []
        for dropout in DROPOUTS[: options.edits]:
            edits.append(time_edit(folder, model, dropout))
            trainings.append(call_in_process(time_notebook, folder, model, options.rows, n_rows))
    row = {
        "model": model,
        "rows": n_rows,
        "first run, s": first,
        "dvc repro, s": summarize(edits),
        "notebook, s (computed)": summarize(trainings),
        "ratio": summarize([b / a for a, b in zip(edits, trainings, strict=True)]),
    }
    write_results("edit", [row], settings=vars(options))


def time_edit(folder, model, dropout):
    """Return the seconds from a changed setting until the pipeline is up to date."""
    metrics = folder / f"metrics/{model}.json"
    before = metrics.read_text(encoding="utf-8")
    params = read_settings(folder)
    params["models"][model]["dropout"] = dropout
    write_settings(folder, params)
    seconds = time_call(run, folder, "dvc", "repro")
    if metrics.read_text(encoding="utf-8") == before:
        raise RuntimeError(f"{metrics.name} is unchanged with dropout {dropout}")
    return seconds


def time_notebook(folder, model, n_timed, n_rows):
    """Return the seconds of the notebook's training, computed from its second epoch on few rows."""
    params = read_params(folder / "params.yaml")
    configure_tensorflow(seed=params.seed, threads=params.threads)
    settings, backbone_settings = params.models[model], params.backbones[model]
    pixels = params.resize.pixels
    rng = np.random.default_rng(params.seed)
    images = rng.uniform(0, 255, (n_timed, pixels, pixels, 3)).astype(np.float32)
    labels = rng.integers(0, len(CODES), n_timed)
    build = load_build(backbone_settings.architecture, function="build_backbone")
    backbone = build(pixels, **backbone_settings.network_settings())
    features = backbone.predict(images[:32], verbose=0)
    head = load_build(settings.architecture)(features, len(CODES), **settings.network_settings())
    ends = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: ends.append(time.perf_counter())
    )
    notebook.fit(
        join(backbone, head),
        images,
        labels,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        epochs=2,
        callbacks=[callback],
    )
    return (ends[1] - ends[0]) * n_rows / n_timed * settings.epochs


if __name__ == "__main__":
    main()
