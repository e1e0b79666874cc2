"""A synthetic photograph of each diagnosis, drawn by `tools/examples.py`, to try models with."""

from pathlib import Path

FOLDER = Path(__file__).parent


def list_examples() -> dict[str, Path]:
    """Return name to file of the photographs; a name is the diagnosis that was drawn."""
    return {file.stem: file for file in sorted(FOLDER.glob("*.jpg"))}
