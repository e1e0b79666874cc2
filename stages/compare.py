"""Stage `compare`: compare all models, with intervals for their differences."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.baselines import published_scores
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
from lesions.taxonomy import keep_scored

TABLES = ("roc", "precision_recall", "reliability", "referral", "confusion")


def main():
    inputs = ("evaluations", "predictions", "curves", "monitored")
    paths = read_paths(__doc__, *inputs, "comparison", "metrics")
    params = read_params()
    models, settings = [*params.models, *params.ensembles], params.evaluate
    paths.comparison.mkdir(exist_ok=True)

    def read_each(read, name, sets):
        """Read a file of every evaluation: model to set to content."""
        return {m: {s: read(paths.evaluations / s / m / name) for s in sets} for m in models}

    details = read_each(read_json, "details.json", params.sets)
    scored = {model: keep_scored(found) for model, found in details.items()}
    first = models[0]
    sets, main_set = list(scored[first]), next(iter(scored[first]))
    for model in models:
        for name in sets:
            file = paths.metrics / ("" if name == "study" else name) / f"{model}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, headline_metrics(scored[model][name]), decimals=settings.decimals)
    for name in TABLES:
        table = stack_tables(read_each(read_table, f"{name}.csv", sets))
        table.to_csv(paths.comparison / f"{name}.csv", index=False)
    curves = stack_learning_curves(
        {model: read_table(paths.curves / f"{model}.csv") for model in params.models},
        monitored={model: read_table(paths.monitored / f"{model}.csv") for model in params.models},
    )
    curves.to_csv(paths.comparison / "learning_curves.csv", index=False)

    pairs = compare_pairs(
        {model: read_table(paths.predictions / main_set / f"{model}.csv") for model in models},
        {model: read_json(paths.evaluations / f"calibration/{model}.json") for model in models},
        read_table(paths.evaluations / main_set / first / "images.csv"),
        BootstrapConfig(
            settings.n_resamples, settings.confidence, settings.calibration_bins, params.seed
        ),
        partition=settings.partition,
    )
    differences = paths.comparison / "differences.json"
    content = {"set": main_set, "partition": settings.partition, "pairs": pairs}
    write_json(differences, content, decimals=settings.decimals)
    listed = details[first][main_set]["partition"]
    published = published_scores(params.profile, name=main_set, partition=listed)
    scores = compare_models(scored, published=published)
    scores.to_csv(paths.comparison / "scores.csv", index=False)
    summary = paths.comparison / "comparison.json"
    write_json(summary, summarize(scored), decimals=settings.decimals)
    shown = params.model_dump(include={"profile", "sets", "backbones", "models", "evaluate"})
    rounded = read_json(differences)["pairs"]  # so that the note says what the file says
    note = describe_run(details, rounded, settings=shown)
    text = to_markdown(scores, n_classes=len(params.classes.codes), note=note)
    (paths.comparison / "comparison.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
