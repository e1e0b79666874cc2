"""Profiles for `make`: take one, tell what moved, and record what was measured.

Run from the repository's folder: `python tools/profiles.py use|check|moved|record [NAME]`.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from committed import git, is_as_committed
from data_checks import check_data

from lesions.params import Params, ParamsError, parse_params, read_text
from lesions.params.loader import Loader

PARAMS = Path("params.yaml")
DOWNLOADED = ("dataverse", "url", "kaggle")
WHAT_RUNS = ("params.yaml", "dvc.yaml", "constraints.txt", "src", "stages")
WHAT_COMES_OUT = ("metrics", "plots", "predictions", "MODEL_CARD.md")
SCORES = Path("metrics/comparison.json")


def use(name: str) -> None:
    """Make the profile `name` the current `params.yaml`, unless that would lose somebody's edits.

    `demo` is `params.yaml` as the last commit has it. Whether a profile is taken or not, the
    settings, and that the data are there, are checked before anything runs.
    """
    place, text = find(name)
    if name:
        demo = git("show", "HEAD:./params.yaml")
        committed = {git("show", f"HEAD:./{path}") for path in committed_profiles()}
        profiles = (file.read_text(encoding="utf-8") for file in Path("profiles").glob("*.yaml"))
        if PARAMS.read_text(encoding="utf-8") not in {demo, *committed, *profiles}:
            sys.exit(
                "params.yaml has edits of yours, which a profile would overwrite; keep them with "
                "'cp params.yaml profiles/<name>.yaml' or drop them with 'git checkout "
                f"params.yaml', then run 'make repro PROFILE={name}' again. To run a profile with "
                f"edits: 'cp profiles/{name}.yaml params.yaml', edit that, then run 'make repro'"
            )
    check(text, place)
    if name:
        PARAMS.write_text(text, encoding="utf-8")


def find(name: str) -> tuple[str, str]:
    """Give the place and the text of the profile `name`, or of `params.yaml` where it is empty."""
    try:
        current = read_text(PARAMS)
    except ParamsError as error:
        sys.exit(str(error))
    files = {file.stem: file for file in Path("profiles").glob("*.yaml")}
    if not name:
        return str(PARAMS), current
    if name == "demo":
        return f"{PARAMS} as committed", git("show", f"HEAD:./{PARAMS}")
    if name not in files:
        sys.exit(f"PROFILE must be one of demo, {', '.join(sorted(files))}; found {name!r}")
    return str(files[name]), files[name].read_text(encoding="utf-8")


def check(text: str, place: str) -> Params:
    """Give the settings of `text`; stop where they are bad or where their data cannot be had.

    `params.yaml` stays as it is.
    """
    try:
        settings = parse_params(text, place=place)
    except ParamsError as error:
        sys.exit(str(error))
    for name, model in settings.models.items():
        weights = model.backbone.weights if model.backbone else "random"
        if weights.endswith(".h5") and not Path(weights).is_file():
            sys.exit(
                f"models.{name}.backbone.weights must be imagenet, random or a file that is there; "
                f"{weights} is not. Nothing was changed."
            )
    try:
        check_data(settings, place)
    except (ValueError, OSError) as error:
        sys.exit(f"{error} Nothing was changed.")
    return settings


def committed_profiles() -> list[str]:
    """Give the paths of the profiles in the last commit."""
    return git("ls-tree", "--name-only", "HEAD", "profiles/").split()


def moved() -> None:
    """Say in a line that a run of the committed code and settings gave other scores, and why."""
    if not is_as_committed(*WHAT_RUNS) or is_as_committed(*WHAT_COMES_OUT):
        return
    committed = json.loads(git("show", f"HEAD:./{SCORES}"))
    found = json.loads(SCORES.read_text(encoding="utf-8"))
    move, machines = tell_largest_move(committed, found), tell_machines(list(committed))
    print(
        f"\nThis run's outputs differ from the committed ones: {move}. {machines}. 'dvc metrics "
        "diff' lists all; before you compare experiments, commit yours as the baseline: git commit "
        "-am 'Baseline on this machine'"
    )


def tell_largest_move(committed: dict, found: dict) -> str:
    """Return the headline score that moved most, as text; both as in `SCORES`."""
    moves = {
        f"{measure.replace('_', ' ')} of {model} ({source})": (
            score["value"],
            found[model][source][measure]["value"],
        )
        for model, sources in committed.items()
        for source, scores in sources.items()
        for measure, score in scores.items()
    }
    moved = {name: move for name, move in moves.items() if None not in move and move[0] != move[1]}
    if not moved:
        return "no headline score moved"
    name, (old, new) = max(moved.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    return f"the largest move of a score is {name}, {old:.3f} → {new:.3f}"


def tell_machines(models: list[str]) -> str:
    """Return in what the machine of this run differs from that of the committed scores."""
    for model in models:
        file = Path(f"predictions/{model}.json")
        if not file.exists() or not git("ls-tree", "HEAD", str(file)):
            continue
        committed = json.loads(git("show", f"HEAD:./{file}"))
        found = json.loads(file.read_text(encoding="utf-8"))
        differing = [
            name for name in {**committed, **found} if committed.get(name) != found.get(name)
        ]
        if differing:
            then, now = (
                "; ".join(
                    f"{name.replace('_', ' ')} {machine.get(name, 'not set')}" for name in differing
                )
                for machine in (committed, found)
            )
            return f"Those were computed with {then}, these with {now}"
    return "CPU and library versions are those of the committed scores, so look for another cause"


def record(name: str) -> None:
    """Copy settings and metrics to `results/<name>`; a README.md that lies there stays."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        sys.exit(f"NAME must be of letters, digits, - and _, as in NAME=paper; found {name!r}")
    old = Path("results") / name / PARAMS
    if name == "repeats" or (old.parent.exists() and not old.exists()):
        sys.exit(
            f"NAME must be free or that of an earlier record; results/{name} is for other things"
        )
    try:
        profile = parse_params(read_text(PARAMS), place=str(PARAMS)).profile
    except ParamsError as error:
        sys.exit(str(error))
    recorded = (
        yaml.load(old.read_text(encoding="utf-8"), Loader)["profile"] if old.exists() else profile
    )
    if recorded != profile:
        sys.exit(
            f"NAME must be free or that of an earlier record of this profile, {profile}; "
            f"results/{name} is of {recorded}; choose another name, or delete that first"
        )
    dry = subprocess.run(["dvc", "repro", "--dry", "--allow-missing"], capture_output=True)
    if b"up to date" not in dry.stdout:
        sys.exit("params.yaml and metrics/ must belong together; run 'make repro' first")
    folder = Path("results") / name
    new = Path("results") / f"{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree("metrics", new / "metrics")
    shutil.copy(PARAMS, new)
    shutil.copy("plots/learning_curves.csv", new)
    shutil.copy("MODEL_CARD.md", new)
    note = folder / "README.md"
    if note.exists():
        shutil.copy(note, new)
    else:
        hint = "Say here which data, which machine and which command gave this."
        (new / "README.md").write_text(f"# {name}\n\n{hint}\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)
    print(f"recorded in {folder}; see that {note} says which data and which machine")


def main() -> None:
    """Run the verb that the first argument names."""
    verb, name, *_ = (*sys.argv[1:], "", "")
    if verb == "use":
        use(name)
    elif verb == "check":
        place, text = find(name)
        source = check(text, place).data.source
        come = "are there" if source not in DOWNLOADED else "will be downloaded, see 'make plan'"
        print(f"The settings can be run, and the data that they name {come}.")
    elif verb == "moved":
        moved()
    elif verb == "record":
        record(name)
    else:
        sys.exit(f"the verb must be use, check, moved or record; found {verb!r}")


if __name__ == "__main__":
    main()
