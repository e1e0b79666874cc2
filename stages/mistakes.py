"""Stage `mistakes`: show the images that a model misclassified with most confidence."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.images.mistakes import collect_mistakes
from lesions.figures.contact_sheets import decisions_sheet
from lesions.figures.style import save_figure
from lesions.imaging.images import read_image
from lesions.pipeline.files import read_json, read_table
from lesions.report.captions import CAPTIONS, DISCLAIMER


def main():
    paths = read_paths(__doc__, "name", "predictions", "calibration", "labels", "raw", "sheet")
    params = read_params()
    predictions, calibration = read_table(paths.predictions), read_json(paths.calibration)
    shown = {"partition": params.evaluate.partition, "n_shown": params.evaluate.n_mistakes}
    mistakes, words, empty = collect_mistakes(predictions, calibration, **shown)
    files = read_table(paths.labels).set_index("image_id")["image_path"]
    photographs = [read_image(paths.raw / files[image_id]) for image_id in mistakes["image_id"]]
    note = f"{DISCLAIMER}\n{CAPTIONS[params.sets['study'].source.kind]}".strip()
    texts = {"title": f"{paths.name}: {words}", "note": note, "empty": empty}
    save_figure(decisions_sheet(mistakes, photographs, **texts), paths.sheet)


if __name__ == "__main__":
    main()
