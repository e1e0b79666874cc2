"""Stage `evaluate`: score a model on the test images of a set, with intervals."""

from lesions.pipeline.cli import read_params, read_paths

import pandas as pd

from lesions.evaluation.evaluate import collect_test_images, evaluate, make_tables
from lesions.figures.confusion import confusion_heatmap
from lesions.figures.style import save_figure
from lesions.pipeline.files import read_json, read_table, write_json
from lesions.report.captions import CAVEATS, DISCLAIMER

TABLES = ("predictions", "labels", "groups", "partitions")


def main():
    outputs = ("evaluation", "confusion")
    paths = read_paths(__doc__, "name", "set", *TABLES, "excluded", "calibration", *outputs)
    params = read_params()
    settings = params.evaluate.model_dump(exclude={"decimals", "n_mistakes"})
    images = collect_test_images(**{name: read_table(getattr(paths, name)) for name in TABLES})
    of_model = {
        "calibration": read_json(paths.calibration),
        "malignant": params.classes.malignant,
    }
    excluded = pd.read_csv(paths.excluded, dtype={"value": str}, keep_default_na=False)
    excluded = excluded.set_index("value")["n_images"].to_dict()

    details = evaluate(images, excluded=excluded, seed=params.seed, **of_model, **settings)
    paths.evaluation.mkdir(exist_ok=True)
    write_json(paths.evaluation / "details.json", details, decimals=params.evaluate.decimals)
    bins = params.evaluate.calibration_bins
    tables = make_tables(images, calibration_bins=bins, **of_model)
    for name, table in tables.items():
        table.to_csv(paths.evaluation / f"{name}.csv", index=False)

    matrix = pd.DataFrame(details["confusion"]).T
    note = f"{DISCLAIMER}\n{CAVEATS[params.sets[paths.set].source.kind]}".strip()
    title = f"{paths.name} on the test images of {paths.set}"
    heatmap = confusion_heatmap(matrix.to_numpy(), list(matrix), title=title, note=note)
    save_figure(heatmap, paths.confusion)


if __name__ == "__main__":
    main()
