"""Stage `evaluate`: score one model's predictions on the test part, class by class and in sum."""

import pandas as pd

from lesions.figures import confusion_heatmap
from lesions.metrics import (
    CAVEATS,
    confusion,
    details,
    headline,
    name_predictions,
    take_partition,
    to_json,
)
from lesions.stage import read_params, read_paths
from lesions.taxonomy import CODES


def main():
    paths = read_paths(
        __doc__, "name", "predictions", "evaluation", "classes", "confusion", "heatmap"
    )
    params = read_params()
    decimals = params.evaluate.decimals

    test = take_partition(pd.read_csv(paths.predictions), "test")
    paths.evaluation.write_text(to_json(headline(*test), decimals=decimals))
    paths.classes.write_text(to_json(details(*test), decimals=decimals))
    name_predictions(*test).to_csv(paths.confusion, index=False)
    title, note = f"{paths.name}, test part", CAVEATS[params.data.source]
    heatmap = confusion_heatmap(confusion(*test), CODES, title=title, note=note)
    heatmap.savefig(paths.heatmap, metadata={"Software": None})


if __name__ == "__main__":
    main()
