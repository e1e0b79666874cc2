"""Stage `calibrate`: fit temperature and prediction sets of one model on the images set aside."""

from lesions.stage import read_params, read_paths

import json

from lesions.calibration import calibrate, calibration_part
from lesions.tables import read_table


def main():
    paths = read_paths(__doc__, "name", "predictions", "labels", "groups", "calibration")
    params = read_params()
    part = calibration_part(
        read_table(paths.predictions), read_table(paths.labels), read_table(paths.groups)
    )
    calibration = calibrate(part, seed=params.seed, **dict(params.calibrate))
    paths.calibration.write_text(
        json.dumps(calibration, indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
