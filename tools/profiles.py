"""Profiles for `make`: use or check one, report how scores changed, record results.

Run from the repository's folder: `python tools/profiles.py use|check|moved|record [NAME]`.
"""

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from check_data import check_data
from committed import git, is_as_committed

from lesions.config import Params, load_yaml, parse_params, read_text
from lesions.datasets.atomic import replace_folder

PARAMS = Path("params.yaml")
CODE = ("params.yaml", "dvc.yaml", "constraints.txt", "src", "stages")
OUTPUTS = ("metrics", "plots", "predictions", "evaluation", "MODEL_CARD.md")
RECORDED = ("params.yaml", "metrics", "plots/comparison", "plots/balance.csv", "MODEL_CARD.md")


def load(name: str) -> tuple[Params, str]:
    """Return settings and text of a profile (of params.yaml if `name` is empty), checked."""
    files = {file.stem: file for file in Path("profiles").glob("*.yaml")} | {"": PARAMS}
    if name == "demo":
        source, text = "params.yaml as committed", git("show", "HEAD:./params.yaml")
    elif name in files:
        source, text = str(files[name]), read_text(files[name])
    else:
        known = ", ".join(sorted(filter(None, files)))
        raise ValueError(f"PROFILE={name} is unknown; choose from demo, {known}")
    params = parse_params(text, source=source)
    try:
        check_data(params)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return params, text


def check(name: str) -> None:
    """Check a profile, and the folders and files that it names."""
    load(name)
    print("The settings are valid, and the folders and files that they name can be read.")


def use(name: str) -> None:
    """Check a profile, and copy it to params.yaml unless that has edits."""
    _, text = load(name)
    if not name:
        return
    profiles = git("ls-tree", "-z", "--name-only", "HEAD", "profiles/").split("\0")
    known = [git("show", f"HEAD:./{file}") for file in ["params.yaml", *filter(None, profiles)]]
    known += [read_text(file) for file in Path("profiles").glob("*.yaml")]
    if read_text(PARAMS) not in known:
        raise ValueError(
            "params.yaml has edits of yours, which the profile would overwrite; keep them with 'cp "
            "params.yaml profiles/<name>.yaml' or discard them with 'git checkout params.yaml'. To "
            f"edit the profile: 'cp profiles/{name}.yaml params.yaml', then 'make repro' without "
            "PROFILE"
        )
    PARAMS.write_text(text, encoding="utf-8")


def report_changes(_: str) -> None:
    """Print one line if a run of the committed code and settings gave other outputs."""
    if not is_as_committed(*CODE) or is_as_committed(*OUTPUTS):
        return
    scores = [change for change in list_changes("metrics") if None not in change]
    found = "no headline score changed"
    if scores:
        file, name, old, new = max(scores, key=lambda change: abs(change[3] - change[2]))
        found = f"the largest change is {name} in {file}, {old:.3f} → {new:.3f}"
    facts = list_changes("params", "--targets", *map(str, Path("predictions/study").glob("*.json")))
    cause = "CPU and library versions are the same, so look for another cause"
    if facts:
        machine = [(name, old, new) for file, name, old, new in facts if file == facts[0][0]]
        then = "; ".join(f"{name} {old or 'not set'}" for name, old, _ in machine)
        now = "; ".join(f"{name} {new or 'not set'}" for name, _, new in machine)
        cause = f"Those were computed with {then}, these with {now}"
    print(
        f"\nThe outputs differ from the committed ones: {found}. {cause}. 'dvc metrics diff' lists "
        "all changes. Before you compare experiments, commit these as your baseline: git commit "
        "-am 'Baseline on this machine'"
    )


def list_changes(kind: str, *flags: str) -> list[tuple]:
    """Return file, name, old and new value of what DVC finds changed since the last commit."""
    command = [sys.executable, "-m", "dvc", kind, "diff", "--json", *flags]
    files = json.loads(subprocess.check_output(command, encoding="utf-8"))
    changes = [(file, *change) for file, names in files.items() for change in names.items()]
    return sorted((file, name, change["old"], change["new"]) for file, name, change in changes)


def record(name: str) -> None:
    """Copy settings and results to `results/<name>`; its README.md is kept."""
    folder = Path("results") / name
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"NAME={name!r}: use letters, digits, - and _ only, as in NAME=paper")
    params, known = load("")[0], folder / PARAMS
    if folder.exists() or name == "repeats":
        recorded = load_yaml(read_text(known))["profile"] if known.exists() else "something else"
        if recorded != params.profile:
            raise ValueError(
                f"results/{name} records {recorded}, and the profile in params.yaml is "
                f"{params.profile}; choose another NAME, or delete that folder first"
            )
    command = ["dvc", "repro", "--dry", "--allow-missing"]
    dry = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if "up to date" not in dry.stdout:
        raise ValueError(
            "The outputs do not belong to params.yaml; run 'make repro' first. "
            f"'{' '.join(command)}' says: {(dry.stderr or dry.stdout).strip()}"
        )
    readme = folder / "README.md"
    note = f"# {name}\n\nDescribe data, machine and command here.\n"
    note = readme.read_text(encoding="utf-8") if readme.exists() else note
    with replace_folder(folder) as new:
        for path in map(Path, RECORDED):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, new / path.name)
        # DVC leaves the evaluations of models and sets that were dropped.
        models = [*params.models, *params.ensembles]
        for photographs, model in itertools.product(params.sets, models):
            evaluated = f"evaluation/{photographs}/{model}"
            shutil.copytree(evaluated, new / evaluated)
        (new / "evaluation/calibration").mkdir()
        for model in models:
            shutil.copy(f"evaluation/calibration/{model}.json", new / "evaluation/calibration")
        (new / "README.md").write_text(note, encoding="utf-8")
    print(f"Recorded in {folder}; describe data and machine in {readme}")


VERBS = {"use": use, "check": check, "moved": report_changes, "record": record}


def main() -> None:
    """Run the verb that the first argument names."""
    verb, name, *_ = (*sys.argv[1:], "", "")
    if verb not in VERBS:
        sys.exit(f"Unknown verb {verb!r}; choose from {', '.join(VERBS)}")
    try:
        VERBS[verb](name)
    except (ValueError, OSError) as error:
        sys.exit(f"{str(error).rstrip('.')}. Nothing was changed.")


if __name__ == "__main__":
    main()
