"""Stage `evaluate`: score a model on a set of images, with intervals."""

from lesions.pipeline.cli import read_params, read_paths

import pandas as pd

from lesions.evaluation.evaluate import evaluate_set
from lesions.figures.confusion import draw_confusion
from lesions.figures.style import save_figure
from lesions.pipeline.files import read_json, read_table, write_json
from lesions.report.captions import CAVEATS, DISCLAIMER

TABLES = ("predictions", "labels", "groups", "partitions")


def main():
    outputs = ("evaluation", "confusion")
    paths = read_paths(__doc__, "name", "set", *TABLES, "excluded", "calibration", *outputs)
    params = read_params()
    excluded = pd.read_csv(paths.excluded, dtype={"value": str}, keep_default_na=False)
    details, tables = evaluate_set(
        paths.set,
        {name: read_table(getattr(paths, name)) for name in TABLES},
        calibration=read_json(paths.calibration),
        malignant=params.classes.malignant,
        excluded=excluded.set_index("value")["n_images"].to_dict(),
        seed=params.seed,
        **params.evaluate.model_dump(exclude={"decimals", "n_mistakes"}),
    )
    paths.evaluation.mkdir(exist_ok=True)
    write_json(paths.evaluation / "details.json", details, decimals=params.evaluate.decimals)
    for name, table in tables.items():
        table.to_csv(paths.evaluation / f"{name}.csv", index=False)
    note = f"{DISCLAIMER}\n{CAVEATS[params.sets[paths.set].source.kind]}".strip()
    heatmap = draw_confusion(details, model=paths.name, name=paths.set, note=note)
    save_figure(heatmap, paths.confusion)


if __name__ == "__main__":
    main()
