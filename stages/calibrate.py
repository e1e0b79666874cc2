"""Stage `calibrate`: fit the temperature and the prediction sets of a model."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.calibration.calibrate import calibrate, collect_calibration_images
from lesions.pipeline.files import read_table, write_json


def main():
    paths = read_paths(__doc__, "predictions", "labels", "groups", "calibration")
    params = read_params()
    images = collect_calibration_images(
        read_table(paths.predictions), read_table(paths.labels), read_table(paths.groups)
    )
    write_json(paths.calibration, calibrate(images, seed=params.seed, **dict(params.calibrate)))


if __name__ == "__main__":
    main()
