"""A study of any size to measure: a copy of this repository, with photographs made in a moment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import yaml
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro

from lesions.cohort import make_cohort
from lesions.taxonomy import CODES, METADATA

ROOT = Path(__file__).resolve().parents[1]
JPEG_QUALITY = 90


def write_photographs(folder: Path, n_images: int, *, height: int = 72, width: int = 96) -> None:
    """Write a cohort of `n_images` in HAM10000's layout; each photograph is a few random colours.

    The colours of a diagnosis lie about its own, so that there is something to learn and something
    to confuse.
    """
    cohort = make_cohort(n_images, seed=1)
    rng = np.random.default_rng(1)
    own = rng.integers(115, 141, (len(CODES), 1, 1, 3))
    (folder / "images").mkdir(parents=True)
    for image_id, dx in zip(cohort["image_id"], cohort["dx"], strict=True):
        seeds = (own[CODES.index(dx)] + rng.normal(0, 40, (4, 5, 3))).clip(0, 255)
        image = cv2.resize(np.uint8(seeds), (width, height), interpolation=cv2.INTER_CUBIC)
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (folder / "images" / f"{image_id}.jpg").write_bytes(jpeg.tobytes())
    cohort.to_csv(folder / METADATA, index=False)


def copy_repository(folder: Path, edit: Callable[[dict], None]) -> None:
    """Copy this repository's files as they are, without results, and let `edit` alter its settings.

    The copy has a Git history of one commit, and code of its own.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout
    made = ("metrics/", "plots/", "predictions/", "results/", "dvc.lock")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(made):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    edit(params)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    me = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    run(folder, "git", *me, "commit", "--quiet", "--message", "as it is")


def run(folder: Path, *command: str) -> str:
    """Run a command in a copy of the repository, on its own code; give what it printed.

    Raises
    ------
    RuntimeError
        If it fails; with what it printed.
    """
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), encoding="utf-8", capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path) -> Mapping[str, str]:
    """Give the variables with which a copy's code and this Python are found first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder / "src")}


def commands(folder: Path) -> dict[str, str]:
    """Give the command of every stage of a copy, in the order in which DVC runs them."""
    stages = plan_repro(get_active_graph(Repo(str(folder)).index.graph))
    return {stage.name: stage.cmd for stage in stages}
