"""`lesions explain`: pictures of where a model looks."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from lesions.app.formats import DISCLAIMER, UNLIKE, as_facts, printable
from lesions.app.photographs import Source, find_sources, open_messages, read_photographs
from lesions.explain.maps import class_maps, evidence, overlay
from lesions.inference.exported import ExportedModel

SHOWN = 360  # px, height and width of the photograph in a picture
MARGIN, LINE = 10, 22  # px
PAPER, INK = 255, (40, 40, 40)


def explain(arguments: Sequence[str], path: Path, out: Path, *, code: str | None) -> int:
    """Write a picture for each photograph; return 1 if one of them cannot be read, else 0.

    Parameters
    ----------
    arguments
        Files, folders and patterns.
    path
        Of the model.
    out
        Folder to write; a picture is called as its photograph, with a number if that name is taken.
    code
        The class to explain; None: the one that is predicted.

    Raises
    ------
    ValueError
        If the model has no such class, or no class maps.
    """
    print(DISCLAIMER, file=sys.stderr)
    model = ExportedModel(path)
    if code is not None and code not in model.codes:
        raise ValueError(f"The model has no class {code}; choose from {', '.join(model.codes)}")
    if "-" in arguments:
        raise ValueError("'lesions explain' reads files, not standard input; name a file")
    sources = find_sources(arguments)
    out.mkdir(parents=True, exist_ok=True)
    failed, written = False, set()
    with open_messages() as messages:
        for facts, image, heat in explain_photographs(model, sources, code=code):
            if "error" in facts:
                failed = True
                print(f"lesions: {printable(facts['error'])}", file=messages)
                continue
            shown = code or facts["predicted"]
            text = f"{shown}, {model.facts['classes'][shown]}: {facts['probabilities'][shown]:.2f}"
            text += f"; {UNLIKE}" if facts["out_of_distribution"] else ""
            picture = draw(image, heat, text)
            file = _choose_name(out, Path(facts["file"]).stem, written)
            file.write_bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes())
            print(file)
    return int(failed)


def explain_photographs(
    model: ExportedModel, sources: Sequence[Source], *, code: str | None = None
) -> Iterator[tuple[dict, np.ndarray | None, np.ndarray | None]]:
    """Yield what a model says of each photograph, and what speaks for a class in it.

    Parameters
    ----------
    code
        Of the class; None: the predicted one.

    Yields
    ------
    facts : dict
        As from `lesions.app.predict.predict_photographs`.
    image, heat : ndarray or None
        uint8 RGB `(SHOWN, SHOWN, 3)`, and as from `lesions.explain.maps.evidence`, of the same
        size; None if the photograph cannot be read.
    """
    resize = model.facts["resize"]
    batches = [read_photographs(sources, resize | {"pixels": p}) for p in (model.pixels, SHOWN)]
    for seen, shown in zip(*batches, strict=True):
        read = [photograph.image for photograph in seen if not photograph.error]
        if read:
            images = np.stack(read)
            found = model.predict(images)
            classes = found.predicted
            if code is not None:
                classes = np.full(len(images), model.codes.index(code))
            heats = evidence(class_maps(model, images), classes, pixels=SHOWN)
        rows = iter(range(len(read)))
        for photograph, large in zip(seen, shown, strict=True):
            if photograph.error:
                yield {"file": photograph.name, "error": photograph.error}, None, None
                continue
            row = next(rows)
            yield as_facts(photograph.name, found, row, model.codes), large.image, heats[row]


def draw(image: np.ndarray, heat: np.ndarray, text: str) -> np.ndarray:
    """Return a photograph, the same with evidence over it, and two lines of text, uint8 RGB."""
    size = image.shape[0]
    shape = (size + 2 * MARGIN + 2 * LINE, 2 * size + 3 * MARGIN, 3)
    picture = np.full(shape, PAPER, np.uint8)
    for column, part in enumerate((image, overlay(image, heat))):
        left = MARGIN + column * (size + MARGIN)
        picture[MARGIN : MARGIN + size, left : left + size] = part
    for number, line in enumerate((text, DISCLAIMER)):
        # OpenCV's fonts have ASCII only.
        written = line.encode("ascii", "replace").decode()
        place = (MARGIN, MARGIN + size + LINE * (number + 1) - 4)
        style = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX, "fontScale": 0.45, "lineType": cv2.LINE_AA}
        cv2.putText(picture, written, place, color=INK, **style)
    return picture


def _choose_name(out, stem, written):
    """Return a path that this run has not written yet."""
    number, name = 2, stem
    while name in written:
        name, number = f"{stem}-{number}", number + 1
    written.add(name)
    return out / f"{name}.png"
