"""Stage `compare`: put all models side by side, their scores and their learning curves."""

import json

import pandas as pd

from lesions.comparison import (
    PUBLISHED,
    compare_models,
    describe_run,
    gather_curves,
    in_short,
    to_markdown,
)
from lesions.metrics import CAVEATS
from lesions.stage import model_files, read_params, read_paths


def main():
    paths = read_paths(
        __doc__, "evaluations", "curves", "comparison", "table", "learning_curves", "markdown"
    )
    params = read_params()
    evaluations = model_files(paths.evaluations, params.models, suffix=".json")
    curves = model_files(paths.curves, params.models, suffix=".csv")

    table = compare_models(
        {model: json.loads(file.read_text()) for model, file in evaluations.items()},
        published=PUBLISHED.get(params.profile),
    )
    paths.comparison.write_text(json.dumps(in_short(table), indent=2) + "\n")
    table.to_csv(paths.table, index=False)
    random = [
        name for name, m in params.models.items() if m.backbone and m.backbone.weights == "random"
    ]
    note = describe_run(params.profile, params.split.by, random, CAVEATS[params.data.source])
    paths.markdown.write_text(to_markdown(table, note=note), encoding="utf-8")
    gathered = gather_curves({model: pd.read_csv(file) for model, file in curves.items()})
    gathered.to_csv(paths.learning_curves, index=False)


if __name__ == "__main__":
    main()
