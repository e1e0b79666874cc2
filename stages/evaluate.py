"""Stage `evaluate`: score one model on the test part, by class and subgroup, with intervals."""

from lesions.stage import read_params, read_paths

import json

import pandas as pd

from lesions.evaluation import evaluate, gather_test, make_tables
from lesions.figures import confusion_heatmap, save_figure
from lesions.metrics import CAVEATS
from lesions.tables import read_table, to_json
from lesions.taxonomy import CODES

INPUTS = ("predictions", "labels", "groups", "partitions")
TABLES = ("confusion", "roc", "precision_recall", "reliability", "referral", "submission")


def main():
    outputs = ("evaluation", "details", "heatmap", *TABLES)
    paths = read_paths(__doc__, "name", *INPUTS, "calibration", *outputs)
    params = read_params()
    settings = params.evaluate.model_dump(exclude={"decimals", "n_mistakes"})

    test = gather_test(**{name: read_table(getattr(paths, name)) for name in INPUTS})
    calibration = json.loads(paths.calibration.read_text(encoding="utf-8"))
    headline, details = evaluate(test, calibration=calibration, seed=params.seed, **settings)
    for path, scores in ((paths.evaluation, headline), (paths.details, details)):
        path.write_text(to_json(scores, decimals=params.evaluate.decimals), encoding="utf-8")
    bins = params.evaluate.calibration_bins
    for name, table in make_tables(test, calibration=calibration, calibration_bins=bins).items():
        table.to_csv(getattr(paths, name), index=False)
    matrix = pd.DataFrame(details["confusion"]).T.to_numpy()
    title, note = f"{paths.name}, test part", CAVEATS[params.data.source]
    heatmap = confusion_heatmap(matrix, CODES, title=title, note=note)
    save_figure(heatmap, paths.heatmap)


if __name__ == "__main__":
    main()
