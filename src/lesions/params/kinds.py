"""What the values of settings are made of."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_NAME = 40  # characters: two names share a file's name, and a table's row
# DVC's run cache leaves keys of these names, at any depth of params.yaml, out of what it compares
# (treeverse/dvc #10296): a changed value would restore the outputs of the old one.
UNSEEN_BY_DVC = ("size", "nfiles")

Count = Annotated[int, Field(ge=1, lt=2**31)]  # from 2**63 on TensorFlow takes none for a number
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _is_seen_by_dvc(name: str) -> str:
    """Refuse a name whose settings DVC would not compare."""
    if name in UNSEEN_BY_DVC:
        raise ValueError(
            f"must not be {' or '.join(UNSEEN_BY_DVC)}: DVC's run cache ignores settings below a "
            "key of that name (treeverse/dvc #10296); choose another name"
        )
    return name


# A flag begins with a hyphen, so a name may not.
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=LONGEST_NAME),
    AfterValidator(_is_seen_by_dvc),
]


def _is_plain(path: str) -> str:
    """Refuse what means something to the shell that DVC hands a stage's command to."""
    if set(path) & set('"$`\\\n'):
        raise ValueError('must have no ", $, `, \\ or line end, which a shell reads as its own')
    return path


Folder = Annotated[str, Field(min_length=1), AfterValidator(_is_plain)]


class Section(BaseModel):
    """A part of the file: no unknown key, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def refuse_equal_in_lower_case(what: str, names: Iterable[str]) -> None:
    """Raise ValueError where two names differ by case alone."""
    known = {}
    for name in names:
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(
                f"{what} must differ by more than case, which file names on macOS and Windows do "
                f"not tell apart; found {other} and {name}; rename one of them"
            )
