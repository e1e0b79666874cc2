"""The report: the study as one HTML page that opens without a network."""

import base64
import functools
from collections.abc import Mapping
from importlib.metadata import version

import cv2
import numpy as np
import vl_convert
import yaml
from markupsafe import Markup

from lesions.report import charts
from lesions.report.wording import render_template
from lesions.taxonomy import keep_scored

MAX_WIDTH = 1600  # px, of a picture
QUALITY = 82  # of WebP, 0 to 100; small print stays legible


def render(
    template: str, inputs: Mapping, *, settings: Mapping, fingerprints: Mapping[str, str]
) -> str:
    """Return the report.

    Parameters
    ----------
    template : str
        Jinja2, with the text, the style and the theme of the charts.
    inputs : mapping
        As from `lesions.report.inputs.read_inputs`.
    settings : mapping
        All settings of params.yaml.
    fingerprints : mapping of str to str
        Path of a file to its SHA-256.

    Returns
    -------
    str
        HTML that loads nothing. The same inputs and packages give the same text.
    """
    colours = charts.model_colours(list(inputs["details"]))
    return render_template(
        template,
        inputs,
        autoescape=True,
        filters=[as_data_uri, version],
        settings=settings,
        settings_text=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
        fingerprints=fingerprints,
        colours=colours,
        dx_colours=charts.dx_colours(settings["classes"]["codes"]),
        charts=charts,
        interval_charts=charts.interval_charts(
            {model: keep_scored(sets) for model, sets in inputs["details"].items()}, colours
        ),
        library=_bundle_vega(),
    )


def as_data_uri(picture: bytes) -> dict:
    """Return a picture as WebP of at most `MAX_WIDTH` px: `uri`, `width`, `height`.

    Raises
    ------
    ValueError
        If OpenCV cannot decode the bytes.
    """
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
    if pixels is None:
        raise ValueError(
            f"A picture of the report cannot be decoded ({len(picture)} bytes); run 'dvc repro' to "
            "draw it again"
        )
    height, width = pixels.shape[:2]
    if width > MAX_WIDTH:
        width, height = MAX_WIDTH, round(height * MAX_WIDTH / width)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    uri = f"data:image/webp;base64,{base64.b64encode(encoded).decode()}"
    return {"uri": uri, "width": width, "height": height}


@functools.cache
def _bundle_vega():
    """Return Vega, Vega-Lite and Vega-Embed as one script; it takes a second."""
    return Markup(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
