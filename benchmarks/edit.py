"""From an edit to its result: one head parameter changed, until the new metrics are there.

A study of HAM10000's size is run to its end once, unmeasured. Then, in turn: `models.<model>.head.
dropout` is changed and `dvc repro` run until nothing is left to do; and the notebook's cell of that
model is run again, which pushes all resampled images through the frozen backbone in every epoch.
The cell is timed for two epochs on a part of the rows; of the second, in which nothing is compiled
any more, the whole is computed: its seconds, times rows, times epochs. What the notebook needs to
evaluate is left out. Both have the settings of params.yaml, and weights drawn at random.

`python benchmarks/edit.py` takes about fifteen minutes, nearly all of them for the first run.
"""

import argparse
import tempfile
import time
from pathlib import Path

import notebook
import numpy as np
import yaml
from side_by_side import apart, report, seconds, spread
from study import copy_repository, run, write_photographs

from lesions.mixing import load_mixing
from lesions.networks import load_architecture
from lesions.runtime import keras, prepare_tensorflow

DROPOUTS = (0.4, 0.5, 0.6, 0.2, 0.1)


def main():
    """Change the parameter several times, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("vgg16", "resnet50"), default="vgg16")
    parser.add_argument("--images", type=int, default=10_015)
    parser.add_argument("--rows", type=int, default=1000, help="on which the notebook's is timed")
    parser.add_argument("--edits", type=int, default=3, help=f"at most {len(DROPOUTS)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_repository(folder, lambda params: one_model(params, options.model))
        write_photographs(folder / "data/source/made", options.images)
        first = seconds(run, folder, "dvc", "repro")
        n_rows = load_mixing(folder / "data/mixing.npz")[0].shape[0]
        settings = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
        ours, cell = [], []
        for dropout in DROPOUTS[: options.edits]:
            ours.append(edited(folder, options.model, dropout))
            cell.append(apart(run_cell, settings, options.model, dropout, options.rows, n_rows))
    row = {
        "model": options.model,
        "rows": n_rows,
        "first run, s": first,
        "edit, s": spread(ours),
        "cell, s (computed)": spread(cell),
        "cell / edit": spread([two / one for one, two in zip(ours, cell, strict=True)]),
    }
    report("edit", [row], settings=vars(options))


def one_model(params, model):
    """Let a study have but one model, and the photographs that are made here."""
    params["data"] |= {"source": "folder", "path": "data/source/made"}
    params["models"] = {model: params["models"][model]}


def edited(folder, model, dropout):
    """Give the seconds from a changed parameter to an end with nothing left to do."""
    path, scores = folder / "params.yaml", folder / f"metrics/evaluation/{model}.json"
    before = scores.read_text(encoding="utf-8")
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"][model]["head"]["dropout"] = dropout
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    took = seconds(run, folder, "dvc", "repro")
    if scores.read_text(encoding="utf-8") == before:
        raise RuntimeError(f"dropout {dropout} must give {scores.name} of its own; it is unchanged")
    return took


def run_cell(settings, model, dropout, n_timed, n_rows):
    """Give the seconds that the notebook's training would take, from its second epoch on few rows.

    In a process of its own, which begins as a notebook does.
    """
    prepare_tensorflow(seed=settings["seed"], threads=settings["threads"])
    chosen = settings["models"][model]
    size = chosen["input_size"]
    architecture = load_architecture(model)
    frozen = architecture.frozen(
        size,
        input_size=size,
        preprocessing=chosen["preprocessing"],
        backbone=chosen["backbone"],
    )
    head = architecture.trainable(frozen.output_shape[1:], **chosen["head"] | {"dropout": dropout})
    rng = np.random.default_rng(settings["seed"])
    images = rng.uniform(0, 255, (n_timed, size, size, 3)).astype(np.float32)
    labels = rng.integers(0, 7, n_timed)
    ends = []
    notebook.fit(
        notebook.on_backbone(frozen, head),
        images,
        labels,
        validation=None,
        learning_rate=chosen["learning_rate"],
        batch_size=chosen["batch_size"],
        epochs=2,
        callbacks=(
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda *_: ends.append(time.perf_counter())
            ),
        ),
    )
    return (ends[1] - ends[0]) * n_rows / n_timed * chosen["epochs"]


if __name__ == "__main__":
    main()
