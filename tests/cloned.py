"""A clone of this repository, in which a test runs commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


class Clone:
    """A copy of this repository's files, as they are now, with a Git history of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet", "--initial-branch", "main")
        self.commit("as it is")

    def run(self, *command: str, fails: bool = False, installed: bool = False, **variables) -> str:
        """Run a command in the clone, on the clone's own code; return what it printed.

        `installed`: without PYTHONPATH, so that `lesions` is the package installed from here.
        """
        names = ("AUTHOR_NAME", "COMMITTER_NAME", "AUTHOR_EMAIL", "COMMITTER_EMAIL")
        environment = os.environ | {f"GIT_{name}": "tests@localhost" for name in names}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment["PYTHONPATH"] = str(self.folder / "src")
        if installed:
            del environment["PYTHONPATH"]
        environment |= variables
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8"
        )
        printed = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{printed}"
        return printed

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def repro(self, *flags: str) -> list[str]:
        """Run `dvc repro`; return the stages that ran, in order."""
        printed = self.run("dvc", "repro", *flags)
        return [
            line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")
        ]

    def edit(self, change) -> None:
        """Call `change` with the settings of params.yaml, and write them back."""
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(params)
        file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text, which must be there, in a file."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{name} does not contain {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")
