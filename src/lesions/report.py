"""The whole study on one page of HTML that opens without a network."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import cv2
import jinja2
import numpy as np
import pandas as pd
import vl_convert
import yaml
from markupsafe import Markup

from lesions.metrics import CAVEATS, find_only_predicted
from lesions.panels import MEASURES, SUBGROUPS, draw
from lesions.taxonomy import DIAGNOSES, NOT_A_MEDICAL_DEVICE
from lesions.vega import CONFIG, model_colours
from lesions.wording import in_prose, in_text, key_in_words, name_model, number, say_baseline

PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "imbalanced-learn",
    "crepes",
    "opencv-python-headless",
    "dvc",
    "vl-convert-python",
)
SNIPPET = "window.vegaEmbed = vegaEmbed;"  # what the inlined library leaves behind
WIDEST = 1600  # px, of a picture on the page
QUALITY = 82  # of its WebP, from 0 to 100; small print stays legible


def read_each(files: Mapping[str, Path]) -> dict:
    """Give what each file holds, by the same names, see `read`."""
    return {name: read(file) for name, file in files.items()}


def read(file: Path) -> dict | pd.DataFrame | bytes:
    """Give what a file holds: JSON as it is, CSV as a DataFrame, else its bytes.

    A CSV's own words `NA` and `null` stay words; only an empty field is missing.
    """
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8"))
    if file.suffix == ".csv":
        return pd.read_csv(file, keep_default_na=False, na_values=[""])
    return file.read_bytes()


def fingerprint(file: Path) -> str:
    """Give a file's SHA-256, 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def render(
    template: str, inputs: Mapping, *, settings: Mapping, fingerprints: Mapping[str, str]
) -> str:
    """Give the page.

    Parameters
    ----------
    template
        Jinja2, with the words and the looks.
    inputs
        By name: model to something for `details`, `roc`, `precision_recall`, `reliability`,
        `referral` and `mistakes`; set to model to details for `external`; `cohort`, the names of
        `lesions.panels.COHORT` to tables; the tables `learning_curves` and `comparison_table`; the
        JSON of `differences`, `split`, `balance`, `audit`; the bytes of the pictures
        `contact_sheet` and `near_duplicates`, as of those of `mistakes`.
    settings
        Those of `params.yaml`, as nested mappings; the page shows them all.
    fingerprints
        Path of a file to its SHA-256.

    Returns
    -------
    str
        HTML with everything inside. The same inputs and packages give the same text.
    """
    models = list(inputs["details"])
    colours = model_colours(models)
    pictures = {
        name: as_data_uri(inputs[name]) for name in ("contact_sheet", "near_duplicates")
    } | {"mistakes": {model: as_data_uri(file) for model, file in inputs["mistakes"].items()}}
    content = {
        **{name: value for name, value in inputs.items() if name not in pictures},
        "models": models,
        "names": {
            model: name_model(model, find_only_predicted(inputs["details"][model]["confusion"]))
            for model in models
        },
        "baseline": say_baseline(inputs["details"][models[0]]["classes"]),
        "colours": colours,
        "pictures": pictures,
        "published": _published(inputs["comparison_table"]),
        "settings": settings,
        "settings_text": yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
        "fingerprints": fingerprints,
        "versions": {package: version(package) for package in PACKAGES},
        "caveat": CAVEATS[settings["data"]["source"]],
        "not_a_medical_device": NOT_A_MEDICAL_DEVICE,
        "diagnoses": DIAGNOSES,
        "measures": MEASURES,
        "subgroup_names": SUBGROUPS,
        "chart_data": {"config": CONFIG, "charts": draw(inputs, colours)},
        "library": _library(),
    }
    return _environment().from_string(template).render(content)


def as_data_uri(picture: bytes) -> dict:
    """Give a picture as WebP of at most `WIDEST` px, `uri`, `width` and `height`.

    Raises
    ------
    ValueError
        If the bytes are no picture.
    """
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
    if pixels is None:
        raise ValueError(
            f"A picture of the report must be PNG or JPEG; found {len(picture)} bytes that OpenCV "
            "can't read; run 'dvc repro' to have it drawn again."
        )
    height, width = pixels.shape[:2]
    if width > WIDEST:
        width, height = WIDEST, round(height * WIDEST / width)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    uri = f"data:image/webp;base64,{base64.b64encode(encoded).decode()}"
    return {"uri": uri, "width": width, "height": height}


def _published(table):
    """Give the published rows of the comparison: model to measure to number."""
    rows = table[table["source"] == "published"].set_index("model")
    return rows.astype(object).where(rows.notna(), None).to_dict("index")


@functools.cache
def _library():
    """Give Vega, Vega-Lite and Vega-Embed in one script; bundling takes a second."""
    return Markup(vl_convert.javascript_bundle(SNIPPET))


def _environment():
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    ours = {"data": _data, "interval": _interval, "number": _number, "sentence": _sentence}
    shared = {f.__name__: f for f in (in_prose, in_text, key_in_words)}
    environment.filters.update(ours, **shared, count="{:,}".format)
    return environment


def _number(value, decimals=3) -> str:
    """Write a number, or the `value` of one with an interval; what is missing is a dash."""
    value = value["value"] if isinstance(value, Mapping) else value
    return number(value, decimals).replace("-", "−")


def _interval(score, decimals=3) -> str:
    """Write an interval, `0.61–0.70`; nothing where it is missing."""
    if score["low"] is None:
        return ""
    ends = [_number(score[end], decimals) for end in ("low", "high")]
    return (" to " if "−" in "".join(ends) else "–").join(ends)


def _sentence(text) -> str:
    """Write a large first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _data(value) -> Markup:
    """Write JSON that may stand inside a script element, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))
