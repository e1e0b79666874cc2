"""Stage `compare`: compare all models, with intervals for their differences."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.baselines import PUBLISHED
from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.comparison import (
    compare_models,
    compare_pairs,
    headline_metrics,
    stack_learning_curves,
    stack_tables,
    summarize,
)
from lesions.pipeline.files import read_json, read_table, write_json
from lesions.report.wording import describe_run, to_markdown

TABLES = ("roc", "precision_recall", "reliability", "referral", "confusion")


def main():
    paths = read_paths(
        __doc__, "evaluations", "predictions", "labels", "curves", "comparison", "metrics"
    )
    params = read_params()
    models, sets, settings = params.models, params.sets, params.evaluate
    paths.comparison.mkdir(exist_ok=True)

    def read_each(read, name):
        """Read a file of every evaluation: model to set to content."""
        return {m: {s: read(paths.evaluations / s / m / name) for s in sets} for m in models}

    details = read_each(read_json, "details.json")
    for model in models:
        for name in sets:
            file = paths.metrics / ("" if name == "study" else name) / f"{model}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, headline_metrics(details[model][name]), decimals=settings.decimals)
    for name in TABLES:
        table = stack_tables(read_each(read_table, f"{name}.csv"))
        table.to_csv(paths.comparison / f"{name}.csv", index=False)
    curves = {model: read_table(paths.curves / f"{model}.csv") for model in models}
    stack_learning_curves(curves).to_csv(paths.comparison / "learning_curves.csv", index=False)

    pairs = compare_pairs(
        {model: read_table(paths.predictions / f"{model}.csv") for model in models},
        {model: read_json(paths.evaluations / f"calibration/{model}.json") for model in models},
        read_table(paths.labels),
        BootstrapConfig(
            settings.n_resamples, settings.confidence, settings.calibration_bins, params.seed
        ),
    )
    scores = compare_models(details, published=PUBLISHED.get(params.profile))
    scores.to_csv(paths.comparison / "scores.csv", index=False)
    for name, content in (("comparison", summarize(details)), ("differences", {"pairs": pairs})):
        write_json(paths.comparison / f"{name}.json", content, decimals=settings.decimals)
    shown = params.model_dump(include={"profile", "sets", "backbones", "models", "evaluate"})
    note = describe_run(details, pairs, settings=shown)
    text = to_markdown(scores, n_classes=len(params.classes.codes), note=note)
    (paths.comparison / "comparison.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
