"""Commands of stages by their own `main`, without DVC."""

import os
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import yaml
from cloned import ROOT
from scipy import sparse

from lesions.sampling.mixing import save_mixing

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MODELS = {"cnn": "images.npy", "vgg16": "features/vgg16"}
PARTITION = np.repeat(["train", "val", "test"], [24, 8, 12])
# One process for all commands: TensorFlow is imported once.
RUN = """
import runpy, shlex, sys
for line in sys.stdin:
    sys.argv = shlex.split(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def try_to_run(folder, *commands):
    """Run commands in a folder; return the ended process."""
    return subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join(commands),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
    )


def run(folder, *commands):
    """Run commands in a folder; return what they print."""
    done = try_to_run(folder, *commands)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(stage, **names):
    """Return the script and the flags of a stage of dvc.yaml."""
    text = STAGES[stage].get("do", STAGES[stage])["cmd"]
    for name, value in names.items():
        text = text.replace(f"${{{name.replace('_', '.')}}}", value)
    _, _, script, *flags = shlex.split(text)
    return shlex.join([str(ROOT / script), *flags])


def write_training_inputs(folder, **learning):
    """Write params.yaml and what stages `features`, `train` and `predict` read: 44 noisy images.

    `learning` are settings of both models.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["classes"] = {"codes": ["nv", "mel"], "names": {"nv": "n", "mel": "m"}, "malignant": []}
    params["models"] = {name: params["models"][name] for name in MODELS}
    params["backbones"] = {"vgg16": params["backbones"]["vgg16"]}
    params["models"]["cnn"] |= {"filters": [2], "metadata": ["sex"]}
    for model in params["models"].values():
        model |= {"dense_units": [4], "epochs": 2, "batch_size": 8, "keep_epoch": "last"} | learning
    params["resize"]["pixels"] = 32
    study, rng, n_images = folder / "data/sets/study", np.random.default_rng(0), len(PARTITION)
    study.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    ids = [f"{row:03}" for row in range(n_images)]
    table = {"image_id": ids, "lesion_id": ids, "dx_type": "histo", "dx": "nv", "age": None}
    table["image_path"] = [f"{row}.png" for row in ids]
    labels = pd.DataFrame(table).assign(sex=["male", "female"] * (n_images // 2), localization="")
    labels["label"] = rng.integers(0, 2, n_images)
    labels.to_csv(study / "labels.csv", index=False)
    pd.DataFrame({"image_id": ids, "partition": PARTITION}).to_csv(
        study / "partitions.csv", index=False
    )
    np.save(study / "images.npy", rng.integers(0, 256, (n_images, 32, 32, 3), np.uint8))
    mixing = sparse.identity(24, np.float32, format="csr")
    save_mixing(study / "mixing.npz", mixing, labels["label"][:24].to_numpy(np.uint8))
