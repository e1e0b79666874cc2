"""Stage `compare`: put all models side by side, and say which differences are real."""

from lesions.stage import model_files, read_params, read_paths, read_scores

import json

from lesions.bootstrap import Protocol
from lesions.comparison import compare_models, compare_pairs, gather_curves, in_short
from lesions.published import PUBLISHED
from lesions.tables import read_table, to_json
from lesions.wording import describe_run, to_markdown


def main():
    inputs = ("evaluations", "details", "predictions", "calibrations", "labels", "curves")
    outputs = ("comparison", "differences", "markdown", "table", "learning_curves")
    paths = read_paths(__doc__, *inputs, *outputs)
    params = read_params()
    settings = params.evaluate

    evaluations = read_scores(paths.evaluations, params)
    details = read_scores(paths.details, params)
    table = compare_models(evaluations, details, published=PUBLISHED.get(params.profile))
    table.to_csv(paths.table, index=False)
    paths.comparison.write_text(
        to_json(in_short(table), decimals=settings.decimals), encoding="utf-8"
    )

    predictions = model_files(paths.predictions, params.models, ".csv")
    calibrations = model_files(paths.calibrations, params.models, ".json")
    protocol = Protocol(
        settings.n_resamples, settings.confidence, settings.calibration_bins, params.seed
    )
    pairs = compare_pairs(
        {model: read_table(file) for model, file in predictions.items()},
        {
            model: json.loads(file.read_text(encoding="utf-8"))
            for model, file in calibrations.items()
        },
        read_table(paths.labels),
        protocol,
    )
    differences = {"protocol": protocol._asdict(), "pairs": pairs}
    paths.differences.write_text(to_json(differences, decimals=settings.decimals), encoding="utf-8")
    classes = details[next(iter(details))]["measured"]["classes"]
    random = [
        name for name, m in params.models.items() if m.backbone and m.backbone.weights == "random"
    ]
    note = describe_run(
        classes,
        pairs,
        profile=params.profile,
        source=params.data.source,
        split_by=params.split.by,
        confidence=settings.confidence,
        random=random,
    )
    paths.markdown.write_text(to_markdown(table, note=note), encoding="utf-8")
    curves = model_files(paths.curves, params.models, ".csv")
    gathered = gather_curves({model: read_table(file) for model, file in curves.items()})
    gathered.to_csv(paths.learning_curves, index=False)


if __name__ == "__main__":
    main()
