"""Numbers, intervals, keys and lists as people write them."""

from collections.abc import Mapping, Sequence

import pandas as pd

MISSING = "–"


def number(value: float | None, decimals: int = 2) -> str:
    """Write a number; a missing one is a dash."""
    return MISSING if pd.isna(value) else f"{value:.{decimals}f}".replace("-", "−")


def interval(estimate: Mapping, decimals: int = 2) -> str:
    """Write the interval of an estimate: `0.57–0.67`; nothing if there is none."""
    low, high = (number(estimate[bound], decimals) for bound in ("low", "high"))
    if MISSING in (low, high):
        return ""
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def score(estimate: Mapping, decimals: int = 2) -> str:
    """Write an estimate with its interval, if it has one: `0.62 (0.57–0.67)`."""
    text, bounds = number(estimate["value"], decimals), interval(estimate, decimals)
    return f"{text} ({bounds})" if bounds and text != MISSING else text


def key_in_words(name: str) -> str:
    """Write a key as words: `n_pairs_found` is "pairs found"."""
    return name.removeprefix("n_").replace("_", " ")


def in_prose(names: Sequence[str], conjunction: str = "and") -> str:
    """Write a list as prose: `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def in_words(n: int) -> str:
    """Write a small number as a word: `seven`."""
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[n - 1] if 1 <= n <= 10 else f"{n:,}"


def in_text(value, digits: int = 3) -> str:
    """Write any value of JSON or of params.yaml: 1,956, 0.958, the items of a list."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{key_in_words(name)} {in_text(item, digits)}" for name, item in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(in_text(item, digits) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return f"{value:,}" if isinstance(value, int) else str(MISSING if value is None else value)
