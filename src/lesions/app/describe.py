"""`lesions info`."""

from pathlib import Path

from lesions.app.formats import DISCLAIMER
from lesions.inference.exported import ExportedModel


def describe(path: Path) -> str:
    """Return what a model is, in lines of text."""
    facts = ExportedModel(path).facts
    resize, calibration = facts["resize"], facts["calibration"]
    conformal, distance = calibration["conformal"], facts["distance"]
    lines = {
        "model": f"{facts['name']}, study {facts['profile']}",
        "file": f"{path} ({path.stat().st_size:,} bytes, weights {facts['weights']})",
        "classes": "; ".join(f"{code} {name}" for code, name in facts["classes"].items()),
        "input": f"{resize['pixels']} × {resize['pixels']} px, interpolation "
        f"{resize['interpolation']}, crop {resize['crop']}, decode {resize['decode']}",
        "views": facts["tta"],
        "temperature": calibration["temperature"] or "none: probabilities are not calibrated",
        "prediction sets": f"nominal coverage {conformal['coverage']:g}" if conformal else "none",
        "decision": "the largest probability, divided by the class's share of the training "
        f"photographs to the power of {calibration['decision']['exponent']:g}",
        "unlike training": "a distance larger than that of all but "
        f"{100 * distance['false_alarms']:g} % of {distance['n_images']} validation photographs"
        if distance["threshold"]
        else "not detected",
        "trained on": f"the study {facts['profile']}; "
        + ", ".join(f"{key} {value}" for key, value in facts["trained_on"].items()),
        "exported from": f"a Keras file with SHA-256 {facts['model_sha256']}",
        "note": DISCLAIMER,
    }
    return "\n".join(f"{key:<16} {value}" for key, value in lines.items())
