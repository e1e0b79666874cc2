"""Stage `report`: write the study as one page that opens without a network."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.report.inputs import fingerprint, read_inputs
from lesions.report.page import render

INPUTS = (
    *("evaluations", "predictions", "comparison", "partitions", "balance", "cohort"),
    *("contact_sheet", "mistakes", "audit"),
)


def main():
    paths = read_paths(__doc__, *INPUTS, "template", "report")
    params = read_params()
    named = {"models": params.models, "ensembles": params.ensembles, "sets": params.sets}
    inputs = read_inputs(paths, **named)
    predictions = [
        paths.predictions / name / f"{model}.csv"
        for model in [*params.models, *params.ensembles]
        for name in params.sets
    ]
    page = render(
        paths.template.read_text(encoding="utf-8"),
        inputs,
        settings=params.shown_settings(),
        fingerprints={file.as_posix(): fingerprint(file) for file in predictions},
    )
    paths.report.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
