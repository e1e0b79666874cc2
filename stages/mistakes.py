"""Stage `mistakes`: show the test images that a model misclassified with most confidence."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.calibration.calibrate import apply_calibration
from lesions.evaluation.predictions import describe_mistakes, rank_mistakes, select_test
from lesions.figures.contact_sheets import mistakes_sheet
from lesions.figures.style import save_figure
from lesions.imaging.images import read_image
from lesions.pipeline.files import read_json, read_table
from lesions.report.captions import CAPTIONS, DISCLAIMER
from lesions.taxonomy import class_codes, probability_columns


def main():
    paths = read_paths(__doc__, "name", "predictions", "calibration", "labels", "raw", "sheet")
    params = read_params()
    test = select_test(read_table(paths.predictions))
    calibration = read_json(paths.calibration)
    codes = class_codes(test)
    probabilities = apply_calibration(test[probability_columns(codes)].to_numpy(), calibration)

    ranked = rank_mistakes(test, probabilities, codes=codes)
    n_shown = params.evaluate.n_mistakes
    mistakes = ranked.head(n_shown)
    files = read_table(paths.labels).set_index("image_id")["image_path"]
    photographs = [read_image(paths.raw / files[image_id]) for image_id in mistakes["image_id"]]
    title = f"{paths.name}: {describe_mistakes(len(ranked), len(test), n_shown=n_shown)}"
    note = f"{DISCLAIMER}\n{CAPTIONS[params.sets['study'].source.kind]}".strip()
    save_figure(mistakes_sheet(mistakes, photographs, title=title, note=note), paths.sheet)


if __name__ == "__main__":
    main()
