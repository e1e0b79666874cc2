"""A study of any size to measure: a copy of this repository, with photographs made in a moment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import networkx as nx
import numpy as np
import yaml
from dvc.repo import Repo

from lesions.datasets.ham10000 import CODES, METADATA
from lesions.datasets.synthetic.cohort import make_cohort

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS = ("evaluation/", "metrics/", "plots/", "predictions/", "results/", "dvc.lock")
PHOTOGRAPHS = "data/source/generated"
JPEG_QUALITY = 90


def write_photographs(folder: Path, n_images: int, *, height: int = 72, width: int = 96) -> None:
    """Write a cohort of `n_images` in HAM10000's layout; each photograph is a few random colours.

    Their mean depends on the diagnosis, with overlap, so that a network can learn it in part.
    """
    cohort = make_cohort(n_images, seed=1)
    rng = np.random.default_rng(1)
    means = rng.integers(115, 141, (len(CODES), 1, 1, 3))
    (folder / "images").mkdir(parents=True)
    for image_id, dx in zip(cohort["image_id"], cohort["dx"], strict=True):
        colours = (means[CODES.index(dx)] + rng.normal(0, 40, (4, 5, 3))).clip(0, 255)
        image = cv2.resize(np.uint8(colours), (width, height), interpolation=cv2.INTER_CUBIC)
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (folder / "images" / f"{image_id}.jpg").write_bytes(jpeg.tobytes())
    cohort.to_csv(folder / METADATA, index=False)


def copy_repository(folder: Path, n_images: int, edit: Callable[[dict], None]) -> None:
    """Copy this repository without outputs, and make a study of `n_images` photographs of it.

    `edit` modifies the settings further. The copy is a Git repository with one commit.
    """
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.check_output(command, cwd=ROOT, encoding="utf-8")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(OUTPUTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    write_photographs(folder / PHOTOGRAPHS, n_images)
    params = read_settings(folder)
    source = {"kind": "folder", "path": PHOTOGRAPHS, "extra_images": "refuse"}
    params["sets"]["study"]["source"] = source
    edit(params)
    write_settings(folder, params)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    author = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    run(folder, "git", *author, "commit", "--quiet", "--message", "copied")


def read_settings(folder: Path) -> dict:
    """Return the content of `params.yaml`."""
    return yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))


def write_settings(folder: Path, params: dict) -> None:
    """Write `params.yaml`."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def run(folder: Path, *command: str) -> str:
    """Run a command in a copy of the repository; return what it printed.

    Raises
    ------
    RuntimeError
        If it fails; with what it printed.
    """
    done = subprocess.run(
        command, cwd=folder, env=environment(), encoding="utf-8", capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return environment variables with which `python` and `dvc` are those that run this."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def list_commands(folder: Path) -> dict[str, str]:
    """Return the command of every stage of a copy, in an order in which they can run."""
    with Repo(str(folder)) as repo:
        stages = nx.dfs_postorder_nodes(repo.index.graph)
        return {stage.name: stage.cmd for stage in stages}
