"""Profiles for `make`: take one, tell what moved, and record what was measured.

Run from the repository's folder: `python tools/profiles.py use|moved|record [NAME]`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
CODE = ("params.yaml", "dvc.yaml", "src", "stages")


def committed_params() -> str:
    """Give `params.yaml` as the last commit has it, which is the profile `demo`."""
    show = ["git", "show", "HEAD:params.yaml"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout


def read_profiles() -> dict[str, str]:
    """Give the text of every profile by its name."""
    files = sorted(PROFILES.glob("*.yaml"))
    return {"demo": committed_params()} | {file.stem: file.read_text() for file in files}


def use(name: str) -> None:
    """Make `name` the current `params.yaml`, unless that would lose somebody's edits."""
    profiles = read_profiles()
    if name not in profiles:
        sys.exit(f"PROFILE must be one of {', '.join(profiles)}; found {name!r}")
    if PARAMS.exists() and PARAMS.read_text() not in profiles.values():
        sys.exit(
            "params.yaml has edits of yours, which a profile would overwrite; keep them with "
            f"'cp params.yaml profiles/<name>.yaml' or drop them with 'git checkout params.yaml', "
            f"then run 'make repro PROFILE={name}' again"
        )
    PARAMS.write_text(profiles[name])


def moved() -> None:
    """Say which committed metrics a run of the committed code did not reproduce."""
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *CODE]).returncode:
        return
    diff = ["dvc", "metrics", "diff", "HEAD"]
    changes = subprocess.run(diff, check=True, capture_output=True, text=True).stdout
    if changes.strip():
        print(
            "\nThese metrics are not the committed ones. TensorFlow's last digits depend on the "
            f"kind of CPU, and training makes them grow:\n\n{changes}"
        )


def record(name: str) -> None:
    """Copy settings and metrics to `results/<name>`; what was there before goes."""
    folder = Path("results") / name
    note = folder / "README.md"
    kept = note.read_text() if note.exists() else None
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree("metrics", folder / "metrics", ignore=shutil.ignore_patterns(".gitignore"))
    shutil.copy(PARAMS, folder)
    shutil.copy("plots/learning_curves.csv", folder)
    if kept is None:
        kept = f"# {name}\n\nSay here which data, which machine and which command gave this.\n"
    note.write_text(kept)
    print(f"recorded in {folder}; see that {note} says which data and which machine")


def main() -> None:
    """Run the verb that the first argument names."""
    verb, names = sys.argv[1], sys.argv[2:]
    if verb == "use" and names:
        use(names[0])
    elif verb == "moved":
        moved()
    elif verb == "record":
        if not names:
            sys.exit("record needs a name: make record NAME=paper")
        record(names[0])


if __name__ == "__main__":
    main()
