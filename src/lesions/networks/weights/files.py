"""Files of weights, and whether one is the file that settings name."""

import hashlib
from pathlib import Path

# What a file of a name ending so begins with.
FORMATS = {".h5": ("an HDF5 file", b"\x89HDF\r\n\x1a\n"), ".npz": ("a NumPy archive", b"PK")}


def check_digest(file: Path, sha256: str | None) -> None:
    """Raise ValueError unless a weights file exists, has this SHA-256, and the format it should."""
    if not file.is_file():
        raise ValueError(f"Weights file {file} does not exist; correct the path")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 is None or found != sha256.lower():
        raise ValueError(
            f"{file} has the SHA-256 {found}, not weights_sha256 = {sha256}; set weights_sha256 to "
            "it if the file was changed on purpose"
        )
    kind, start = FORMATS.get(file.suffix, ("", b""))
    with file.open("rb") as stream:
        if stream.read(len(start)) != start:
            raise ValueError(f"{file} is not {kind}, though its name ends in {file.suffix}")
