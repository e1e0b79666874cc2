"""The settings of `params.yaml`, read and held against the one schema."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from lesions.params.kinds import LONGEST_NAME
from lesions.params.loader import Loader
from lesions.params.schema import Params

# Settings that older versions called otherwise.
RENAMED = {"resize.size": "resize.pixels"}


class ParamsError(ValueError):
    """`params.yaml` breaks the schema; the message names every key, value and allowed range."""


def read_params(path: Path) -> Params:
    """Read `path` through the schema.

    Raises
    ------
    ParamsError
        If the file is missing, is no YAML, or breaks the schema; every breach has its own line.
    """
    return parse_params(read_text(path), place=str(path))


def read_text(path: Path) -> str:
    """Give the text of a params file.

    Raises
    ------
    ParamsError
        If there is no such file, or it is a folder or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path} must exist; run from the repository's folder") from None
    except IsADirectoryError:
        raise ParamsError(f"{path} must be a file; it is a folder; move it away") from None
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} must be text in UTF-8; byte {error.start + 1} is not; save it as UTF-8"
        ) from None


def parse_params(text: str, *, place: str) -> Params:
    """Read the text of a params file, which messages say is in `place`, through the schema.

    Raises
    ------
    ParamsError
        If it is no YAML, or breaks the schema; every breach has its own line.
    """
    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{place} must be YAML; {error}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise ParamsError(
            f"{place} must have settings, each as 'name: value'; it has {found}; "
            "params.yaml in Git shows every setting"
        )
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        breaches = "\n".join(_describe(breach) for breach in error.errors())
        raise ParamsError(
            f"{error.error_count()} setting(s) in {place} must change:\n{breaches}"
        ) from None


def _describe(breach) -> str:
    key = ".".join(str(part) for part in breach["loc"]) or "the file"
    if key in RENAMED:
        return f"  {key}: is called {RENAMED[key]} now; rename it in the file"
    if breach["type"] == "extra_forbidden":
        return f"  {key}: no such setting; look for a misspelt name"
    if breach["type"] == "missing":
        return f"  {key}: is missing; params.yaml in Git shows every setting"
    if breach["loc"][-1:] == ("[key]",) and breach["type"] != "value_error":
        return (
            f"  {key}: a name may have letters, digits, - and _ only, no - in front, and at most "
            f"{LONGEST_NAME} characters; found {breach['input']!r}"
        )
    if breach["type"] == "value_error" and isinstance(breach["input"], dict):
        return f"  {key}: {breach['msg']}"  # ours, which names what it found; a section is long
    return f"  {key}: {breach['msg']}; found {breach['input']!r}"
