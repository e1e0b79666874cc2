"""The settings of `params.yaml`, read and checked against one schema."""

from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lesions.config.schema import Params
from lesions.config.types import MAX_NAME_LENGTH

__all__ = ["Params", "ParamsError", "load_yaml", "parse_params", "read_params", "read_text"]

# Settings of earlier versions, and where they are now.
RENAMED = {
    "data": "sets.study.source",
    "split": "sets.study.split",
    "resize.size": "resize.pixels",
}
VALUES = {"profile", "seed", "threads"}  # at the top level; all other keys there are sections
# Architectures of earlier versions, and which `network` of `applications` they are now.
APPLICATIONS = {"vgg16": "VGG16", "resnet50": "ResNet50"}
# Sections with a class for each architecture: the file, and the union of the classes.
SCHEMAS = {
    "backbones": ("src/lesions/config/backbones.py", "Backbone"),
    "models": ("src/lesions/config/models.py", "Model"),
}
TAGS = ("architecture", "kind", "by")  # what pydantic chooses a section's class by


class ParamsError(ValueError):
    """`params.yaml` breaks the schema; the message has a line for each fault."""


def read_params(path: Path) -> Params:
    """Return the settings of a params file.

    Raises
    ------
    ParamsError
        If the file is missing, is not YAML, or breaks the schema.
    """
    return parse_params(read_text(path), source=str(path))


def read_text(path: Path) -> str:
    """Return the text of a params file.

    Raises
    ------
    ParamsError
        If there is no such file, or it is a folder or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing; run from the repository's folder") from None
    except IsADirectoryError:
        raise ParamsError(f"{path} is a folder, not a file; move it away") from None
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} is not UTF-8 (byte {error.start + 1}); save it as UTF-8"
        ) from None


def load_yaml(text: str) -> object:
    """Return the content of YAML 1.2, as DVC reads it."""
    return YAML(typ="safe", pure=True).load(text)


def parse_params(text: str, *, source: str) -> Params:
    """Return the settings in the text of a params file.

    Parameters
    ----------
    text
        YAML 1.2.
    source
        What error messages call the file.

    Raises
    ------
    ParamsError
        If it is not YAML, or breaks the schema.
    """
    try:
        content = load_yaml(text)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: an impossible date
        if isinstance(error, MarkedYAMLError):
            error.note = None  # how a program would accept a key that is given twice
        raise ParamsError(f"{source} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        found = "empty" if content is None else f"a {type(content).__name__}"
        raise ParamsError(
            f"{source} must hold settings, each as 'name: value'; it is {found}; 'git show "
            "HEAD:./params.yaml' shows all settings"
        )
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe(fault, content)}" for fault in error.errors())
        raise ParamsError(
            f"{error.error_count()} setting(s) in {source} must be corrected:\n{faults}"
        ) from None


def _describe(fault: dict, content: dict) -> str:
    key, kind = _join_key(fault["loc"], content), fault["type"]
    section = key.partition(".")[0]
    if key in RENAMED:
        return f"{key}: is called {RENAMED[key]} now"
    if kind == "extra_forbidden":
        hint = ""
        if section in SCHEMAS:
            hint = f", or add it to the class of this architecture in {SCHEMAS[section][0]}"
        return f"{key}: unknown setting; check the spelling{hint}"
    if kind == "missing" and key in set(Params.model_fields) - VALUES:
        return f"{key}: is missing; copy the section from 'git show HEAD:./params.yaml'"
    if kind == "missing":
        return f"{key}: is missing; add the line '{fault['loc'][-1]}: <value>'"
    if kind == "union_tag_not_found":
        tag = fault["ctx"]["discriminator"].strip("'")
        return f"{key}.{tag}: is missing; add the line '{tag}: <value>'"
    if kind == "union_tag_invalid":
        choice, tag, tags = (fault["ctx"][k] for k in ("discriminator", "tag", "expected_tags"))
        choice = choice.strip("'")
        is_name = choice == "architecture" and isinstance(tag, str) and tag.isidentifier()
        hint = _how_to_add(tag, section) if is_name else ""
        return f"{key}.{choice}: {tag!r} is unknown; choose from {tags}{hint}"
    if kind in ("string_pattern_mismatch", "string_too_long") and fault["loc"][-1] == "[key]":
        return (
            f"{key}: a name has letters, digits and _ only, at most {MAX_NAME_LENGTH}; found "
            f"{fault['input']!r}"
        )
    message = fault["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message}; found {fault['input']!r}"


def _how_to_add(architecture: object, section: str) -> str:
    """Return how an architecture is called now, or which file and line a new one needs."""
    if architecture in APPLICATIONS:
        return f"; write 'architecture: applications' and 'network: {APPLICATIONS[architecture]}'"
    file, union = SCHEMAS[section]
    return (
        f"; to add it, write src/lesions/networks/{architecture}.py, and in {file} the line "
        f'`architecture: Literal["{architecture}"]` in a class that the union {union} names (see '
        "CONTRIBUTING.md)"
    )


def _join_key(location: tuple, content) -> str:
    """Join a fault's location, without the tag that pydantic adds for a chosen class."""
    parts, entered = [], True
    for part in location:
        if isinstance(content, dict):
            if entered and part in [content.get(tag) for tag in TAGS]:
                entered = False
                continue
            content, entered = content.get(part), True
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            content = None
        parts.append(str(part))
    return ".".join(parts)
