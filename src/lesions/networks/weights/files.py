"""Files of weights, and whether one is the file that settings name."""

import hashlib
from pathlib import Path


def check_digest(file: Path, sha256: str | None) -> None:
    """Raise ValueError unless a weights file exists and has this SHA-256."""
    if not file.is_file():
        raise ValueError(f"Weights file {file} does not exist; correct the path")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 is None or found != sha256.lower():
        raise ValueError(
            f"{file} has the SHA-256 {found}, not weights_sha256 = {sha256}; set weights_sha256 to "
            "it if the file was changed on purpose"
        )
