"""Diagnoses in a source's own words, mapped to the codes of the classes."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

import pandas as pd


def resolve_diagnoses(
    values: pd.Series,
    *,
    codes: Sequence[str],
    map: Mapping[str, str],
    exclude: Collection[str],
    name: str,
    section: str,
) -> pd.Series:
    """Return the code of each diagnosis, a missing value for those that are left out.

    Parameters
    ----------
    values : Series of str
        Diagnoses in the source's own words.
    codes : sequence of str
        The codes of the classes; a diagnosis may differ in case from its code.
    map : mapping of str to str
        Diagnoses to codes.
    exclude : collection of str
        Diagnoses to leave out.
    name, section : str
        What messages call the table, and the section that has the settings `map` and `exclude`.

    Raises
    ------
    ValueError
        If there are other diagnoses; all are listed.
    """
    in_any_case = {code.lower(): code for code in codes} | {code: code for code in codes}
    found = {}
    for value in values.unique():
        code = map.get(value, value)
        found[value] = in_any_case.get(code, in_any_case.get(code.lower()))
    counts = values.value_counts().to_dict()
    unknown = [value for value in counts if value not in exclude and found[value] is None]
    if unknown:
        listed = "\n".join(f"  {_describe(value, counts[value], codes)}" for value in unknown)
        raise ValueError(
            f"{name} has unknown diagnoses ({len(unknown)}):\n{listed}\nMap each to a code in "
            f"{section}.map, or leave it out by {section}.exclude; the codes are {', '.join(codes)}"
        )
    return values.map({value: code for value, code in found.items() if value not in exclude})


def replace_diagnoses(metadata: pd.DataFrame, dx: pd.Series) -> pd.DataFrame:
    """Return the rows with a code; `diagnosis` keeps the source's words if a code differs."""
    kept = metadata.assign(dx=dx)[dx.notna()]
    verbatim = metadata["dx"][dx.notna()]
    if (verbatim == kept["dx"]).all():
        return kept
    return kept.assign(**{"dx_in_source" if "diagnosis" in kept else "diagnosis": verbatim})


def count_excluded(values: pd.Series, codes: pd.Series) -> pd.DataFrame:
    """Return `value` and `n_images` of the diagnoses that have no code, the most frequent first."""
    counts = values[codes.isna()].value_counts()
    return counts.rename_axis("value").rename("n_images").reset_index()


def _describe(value, n_images, codes):
    near = get_close_matches(value.lower(), codes, n=1, cutoff=0.5)
    hint = f"; the nearest code is {near[0]}" if near else ""
    return f"{value!r}: {n_images} image{'s' * (n_images > 1)}{hint}"
