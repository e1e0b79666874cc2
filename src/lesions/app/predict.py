"""`lesions predict`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lesions.app.formats import (
    DISCLAIMER,
    as_facts,
    printable,
    to_csv,
    to_json,
    to_text,
    write_header,
)
from lesions.app.photographs import Source, find_sources, open_messages, read_photographs
from lesions.inference.exported import ExportedModel


def predict(arguments: Sequence[str], path: Path, *, form: str, top: int) -> int:
    """Print what a model says of photographs; return 1 if one of them cannot be read, else 0.

    Parameters
    ----------
    arguments
        Files, folders, patterns, `-`.
    path
        Of the model.
    form
        `text`, `csv` or `json`. In the text, errors are on stderr; else they are rows as well.
    top
        Number of classes in a line of text.
    """
    print(DISCLAIMER, file=sys.stderr)
    model = ExportedModel(path)
    if model.facts["calibration"]["temperature"] is None:
        print(f"The probabilities of {model.facts['name']} are not calibrated.", file=sys.stderr)
    sources = find_sources(arguments)
    width = min(max((len(source.name) for source in sources), default=0), 60)
    write = {
        "text": lambda facts: to_text(facts, top=top, width=width),
        "csv": lambda facts: to_csv(facts, model.codes),
        "json": to_json,
    }[form]
    if form == "csv":
        print(write_header(model.codes))
    failed = False
    with open_messages() as messages, _progress(len(sources), messages) as bar:
        for batch in predict_photographs(model, sources):
            for facts in batch:
                if "error" in facts:
                    failed = True
                    bar.write(f"lesions: {printable(facts['error'])}", file=messages)
                if "error" not in facts or form != "text":
                    print(write(facts))
            sys.stdout.flush()
            bar.update(len(batch))
    return int(failed)


def predict_photographs(model: ExportedModel, sources: Sequence[Source]) -> Iterator[list[dict]]:
    """Yield what a model says of photographs, a batch at a time, in their order.

    Yields
    ------
    list of dict
        `lesions.app.formats.as_facts` of each photograph; `file` and `error` if it cannot be read.
    """
    for batch in read_photographs(sources, model.facts["resize"]):
        read = [photograph.image for photograph in batch if not photograph.error]
        found = model.predict(np.stack(read)) if read else None
        rows = iter(range(len(read)))
        yield [
            {"file": photograph.name, "error": photograph.error}
            if photograph.error
            else as_facts(photograph.name, found, next(rows), model.codes)
            for photograph in batch
        ]


class _NoBar:
    """In place of a progress bar, where stderr is no terminal; tqdm takes a while to import."""

    write = staticmethod(print)

    def update(self, n_images):
        pass


@contextmanager
def _progress(n_images, messages):
    if not messages.isatty():
        yield _NoBar()
        return
    from tqdm import tqdm

    with tqdm(total=n_images, desc="predict", unit="image", leave=False, file=messages) as bar:
        yield bar
