"""Stage `card`: write the model card from the study's own numbers."""

from lesions.stage import model_files, read_params, read_paths, read_scores

import json

import pandas as pd

from lesions.card import render
from lesions.tables import read_table

STUDY = ("comparison", "differences", "split", "audit")
COHORT = ("sex", "age", "localization")


def main():
    folders = ("evaluations", "details", "calibrations", "cohort")
    paths = read_paths(__doc__, *folders, *STUDY, "labels", "template", "card")
    params = read_params()
    inputs = {name: json.loads(getattr(paths, name).read_text(encoding="utf-8")) for name in STUDY}
    for name in ("evaluations", "details"):
        inputs[name] = read_scores(getattr(paths, name), params)
    files = model_files(paths.calibrations, params.models, ".json")
    inputs["calibrations"] = {
        model: json.loads(file.read_text(encoding="utf-8")) for model, file in files.items()
    }
    inputs["cohort"] = {name: pd.read_csv(paths.cohort / f"{name}.csv") for name in COHORT}
    inputs["labels"] = read_table(paths.labels)
    template = paths.template.read_text(encoding="utf-8")
    card = render(template, inputs, settings=params.model_dump())
    paths.card.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
