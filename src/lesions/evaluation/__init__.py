"""Scores of a model on a set of images: measures, intervals, calibration, comparison of models.

Arguments and results that mean the same in all modules:

`labels`
    Position of each image's class among the study's, `(n_images,)`.
`probabilities`
    float64 `(n_images, n_classes)`, rows sum to 1. The predicted class is the most probable one,
    the first if several are.
`codes`
    The code of each class, in the order of the columns of `probabilities`.
`units`
    What is resampled, `(n_images,)`: the patient of each image, or its lesion.
`weights`
    How often each resample contains each image, `(n_images, n_resamples)`, see `bootstrap`.
`config`
    A `bootstrap.BootstrapConfig`.
`calibration`
    The result of `calibration.calibrate.calibrate`.
estimate
    `{"value", "low", "high"}`: a measure and its bootstrap interval, floats, or None if undefined.
"""
