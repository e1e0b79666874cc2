"""Stage `calibrate`: fit temperature, prediction sets and decision rule of a model."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.evaluation.calibration.calibrate import calibrate, collect_calibration_images
from lesions.evaluation.calibration.decision import fit_decision
from lesions.pipeline.files import read_table, write_json


def main():
    inputs = ("predictions", "labels", "groups", "partitions")
    paths = read_paths(__doc__, *inputs, "calibration")
    params = read_params()
    predictions, labels, groups, partitions = (read_table(getattr(paths, n)) for n in inputs)
    settings = params.calibrate.model_dump(exclude={"decision"})
    partition = settings["partition"]
    images = collect_calibration_images(predictions, labels, groups, partition=partition)
    calibration = calibrate(images, seed=params.seed, **settings)
    rule = {"rule": params.calibrate.decision, "calibration": calibration}
    decision = fit_decision(predictions, labels, partitions, **rule)
    write_json(paths.calibration, calibration | {"decision": decision})


if __name__ == "__main__":
    main()
