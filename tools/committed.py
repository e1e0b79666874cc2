"""What Git has committed, and Git's own message where it cannot answer."""

import subprocess
import sys


def git(*command: str) -> str:
    """Return what a Git command prints; exit with Git's own message if it fails."""
    done = subprocess.run(
        ["git", *command], capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        sys.exit(f"'git {' '.join(command)}' failed: {done.stderr.strip()}")
    return done.stdout


def is_as_committed(*paths: str) -> bool:
    """Return whether the tracked files at `paths` are those of the last commit."""
    return not git("diff", "--name-only", "HEAD", "--", *paths)
