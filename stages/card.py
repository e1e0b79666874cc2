"""Stage `card`: write the model card from the study's own numbers."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.report.inputs import read_inputs
from lesions.report.model_card import render

INPUTS = (*("evaluations", "predictions", "comparison", "partitions", "cohort", "audit", "labels"),)


def main():
    paths = read_paths(__doc__, *INPUTS, "template", "card")
    params = read_params()
    named = {"models": params.models, "ensembles": params.ensembles, "sets": params.sets}
    inputs = read_inputs(paths, **named)
    template = paths.template.read_text(encoding="utf-8")
    card = render(template, inputs, settings=params.shown_settings())
    paths.card.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
