"""Predictions as text: a line for each photograph, a CSV row or a JSON object."""

import io
import json
from collections.abc import Sequence

import numpy as np

from lesions.inference.exported import Predictions

DISCLAIMER = "Research software, not a medical device: do not base any decision about skin on it."
# Name of a prediction set: that in `lesions.probabilities.prediction_sets`.
SETS = {"prediction_set": "marginal", "class_conditional_set": "class_conditional"}
UNLIKE = "looks unlike the training photographs"


def columns(codes: Sequence[str]) -> list[str]:
    """Return the columns of the CSV; `codes` are those of the classes."""
    probabilities = [f"p_{code}" for code in codes]
    return [
        *("file", "predicted", *probabilities, *SETS),
        *("distance", "out_of_distribution", "error"),
    ]


def as_facts(name: str, found: Predictions, row: int, codes: Sequence[str]) -> dict:
    """Return one photograph's prediction.

    Returns
    -------
    dict
        `file`; `predicted`, a code; `probabilities`, code to number; `SETS`, codes, None if the
        model has no prediction sets; `distance` from the training photographs, and
        `out_of_distribution`, whether it is above 1, both None if it is not known.
    """
    distance = None if found.distances is None else round(float(found.distances[row]), 3)
    probabilities = found.probabilities[row].round(4).tolist()
    return {
        "file": name,
        "predicted": codes[found.predicted[row]],
        "probabilities": dict(zip(codes, probabilities, strict=True)),
        **{
            key: None if found.sets is None else _members(found.sets[kind][row], codes)
            for key, kind in SETS.items()
        },
        "distance": distance,
        "out_of_distribution": None if distance is None else distance > 1,
    }


def to_json(facts: dict) -> str:
    """Return a prediction, or `file` and `error`, as one line."""
    return json.dumps(facts)


def to_csv(facts: dict, codes: Sequence[str]) -> str:
    """Return a prediction, or `file` and `error`, as a row of `columns`."""
    row = facts | {f"p_{code}": p for code, p in facts.get("probabilities", {}).items()}
    row |= {key: " ".join(facts[key]) for key in SETS if facts.get(key)}
    return _write_row("" if row.get(key) is None else row[key] for key in columns(codes))


def write_header(codes: Sequence[str]) -> str:
    """Return the header of the CSV."""
    return _write_row(columns(codes))


def to_text(facts: dict, *, top: int, width: int) -> str:
    """Return a prediction as a line to read: the most probable classes, set, and what is unusual.

    `width` is that of the longest name.
    """
    name = printable(facts["file"])
    ranked = sorted(facts["probabilities"].items(), key=lambda item: -item[1])
    parts = [f"{code:<5} {p:.2f}" for code, p in ranked[:top]]
    if facts["predicted"] != ranked[0][0]:
        parts.append(f"decision rule: {facts['predicted']}")
    if facts["prediction_set"] is not None:
        parts.append(f"set: {', '.join(facts['prediction_set']) or 'none'}")
    if facts["out_of_distribution"]:
        parts.append(f"{UNLIKE} (distance {facts['distance']:.1f})")
    return f"{name:<{width}}  " + "  ".join(parts)


def printable(text: str) -> str:
    """Return text for a terminal: names with line ends or escape sequences are written as ASCII."""
    return text if text.isprintable() else ascii(text)


def _members(row: np.ndarray, codes) -> list[str]:
    return [code for code, is_in in zip(codes, row, strict=True) if is_in]


def _write_row(values):
    import csv  # takes milliseconds, which other forms need not wait for

    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(values)
    return stream.getvalue()
