"""Types that settings share."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_NAME_LENGTH = 40  # characters: two names share a file's name, and a table's row
# DVC's run cache leaves keys of these names, at any depth of params.yaml, out of what it compares
# (treeverse/dvc #10296): a changed value would restore the outputs of the old one.
IGNORED_BY_DVC = ("size", "nfiles")

Count = Annotated[int, Field(ge=1, lt=2**31)]  # TensorFlow takes no larger number
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Pixels = Annotated[int, Field(ge=8, le=2048)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


def refuse_ignored(name: str) -> str:
    """Return a name; raise ValueError if DVC's run cache would ignore what is below it."""
    if name in IGNORED_BY_DVC:
        raise ValueError(
            f"the name {name} is reserved: DVC's run cache ignores settings below a key of that "
            "name (treeverse/dvc #10296); choose another name"
        )
    return name


def refuse_repeated(items: list[str]) -> list[str]:
    """Return a list; raise ValueError if it has anything twice."""
    repeated = [item for item in items if items.count(item) > 1]
    if repeated:
        raise ValueError(f"{repeated[0]} is listed {items.count(repeated[0])} times; keep one")
    return items


# DVC joins names with '-': a stage of `a` and `b-c` could not be told from one of `a-b` and `c`.
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_]+$", max_length=MAX_NAME_LENGTH),
    AfterValidator(refuse_ignored),
]

# A diagnosis in the source's own words, which may be empty.
Diagnosis = Annotated[str, AfterValidator(refuse_ignored)]


def _refuse_shell_characters(path: str) -> str:
    """Refuse what the shell that runs a stage's command would interpret."""
    if set(path) & set('"$`\\\n'):
        raise ValueError('a path may not contain ", $, `, \\ or a line break')
    if path.startswith("-"):  # a command would take it for an option
        raise ValueError(f"a path may not begin with -; write ./{path}")
    return path


Path = Annotated[str, Field(min_length=1), AfterValidator(_refuse_shell_characters)]


def _refuse_hindsight(column: object) -> object:
    if column == "dx_type":
        raise ValueError(
            "dx_type says how the diagnosis was confirmed, which is not known before there is one; "
            "choose from age, sex and localization"
        )
    return column


# Columns of the metadata that a model may read.
MetadataColumn = Annotated[
    Literal["age", "sex", "localization"], BeforeValidator(_refuse_hindsight)
]
Metadata = Annotated[list[MetadataColumn], AfterValidator(refuse_repeated)]


class Section(BaseModel):
    """A part of the file: no unknown key, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def sort_names(entries: dict[str, object]) -> dict[str, object]:
    """Return entries by name, `study` first: DVC does not compare the order of keys.

    Raises
    ------
    ValueError
        If two names differ in case only: macOS and Windows would give them one file.
    """
    known = {}
    for name in entries:
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(
                f"{other} and {name} differ in case only, which file systems of macOS and Windows "
                "ignore; rename one of them"
            )
    return dict(sorted(entries.items(), key=lambda entry: (entry[0] != "study", entry[0])))
