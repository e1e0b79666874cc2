"""Stage `calibrate`: fit temperature and prediction sets of one model on the images set aside."""

import json

import pandas as pd

from lesions.calibration import calibrate, calibration_part
from lesions.stage import read_params, read_paths


def main():
    paths = read_paths(__doc__, "name", "predictions", "labels", "groups", "calibration")
    params = read_params()
    part = calibration_part(
        pd.read_csv(paths.predictions), pd.read_csv(paths.labels), pd.read_csv(paths.groups)
    )
    calibration = calibrate(part, seed=params.seed, **dict(params.calibrate))
    paths.calibration.write_text(json.dumps(calibration, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
