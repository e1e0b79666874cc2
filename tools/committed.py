"""What Git has, and what it says where it cannot answer."""

import subprocess
import sys


def git(*command: str) -> str:
    """Return what a command of Git prints; stop with Git's own words where it fails."""
    done = subprocess.run(
        ["git", *command], capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        sys.exit(
            f"'git {' '.join(command)}' failed: {done.stderr.strip()}\nThis folder must be a Git "
            "repository with a commit; of a ZIP download 'git init && git add -A && git commit -m "
            "downloaded' makes one."
        )
    return done.stdout


def is_as_committed(*paths: str) -> bool:
    """Tell whether the files at `paths` are those of the last commit, new ones left aside."""
    return not git("diff", "--name-only", "HEAD", "--", *paths)
