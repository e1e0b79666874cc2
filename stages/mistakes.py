"""Stage `mistakes`: show the test images that one model was surest and wrong about."""

from lesions.stage import read_params, read_paths

import json

from lesions.atlas import mistakes_sheet
from lesions.calibration import apply_calibration
from lesions.exploration import CAPTIONS
from lesions.figures import save_figure
from lesions.images import read_image
from lesions.mistakes import confident_mistakes, describe_mistakes
from lesions.predictions import take_rows
from lesions.tables import read_table
from lesions.taxonomy import PROBABILITIES


def main():
    paths = read_paths(__doc__, "name", "predictions", "calibration", "labels", "raw", "sheet")
    params = read_params()
    n = params.evaluate.n_mistakes
    test = take_rows(read_table(paths.predictions))
    calibration = json.loads(paths.calibration.read_text(encoding="utf-8"))
    probabilities = apply_calibration(test[list(PROBABILITIES)].to_numpy(), calibration)

    mistakes = confident_mistakes(test, probabilities, n=n)
    files = read_table(paths.labels).set_index("image_id")["image_path"]
    photographs = [read_image(paths.raw / files[image_id]) for image_id in mistakes["image_id"]]
    title = f"{paths.name}: {describe_mistakes(test, probabilities, n=n)}"
    note = CAPTIONS[params.data.source]
    sheet = mistakes_sheet(mistakes, photographs, title=title, note=note)
    save_figure(sheet, paths.sheet)


if __name__ == "__main__":
    main()
