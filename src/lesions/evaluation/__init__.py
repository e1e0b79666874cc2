"""Scores of a model on a set of images: measures, intervals, calibration, comparison of models.

Arguments and results that mean the same in all modules:

`labels`
    Integers 0 to 6, `(n_images,)`.
`probabilities`
    float64 `(n_images, 7)`, rows sum to 1. The predicted class is the most probable one, the first
    in the taxonomy if several are.
`lesions`
    Lesion of each image, `(n_images,)`.
`weights`
    How often each resample contains each image, `(n_images, n_resamples)`, see `bootstrap`.
`config`
    A `bootstrap.BootstrapConfig`.
`calibration`
    The result of `calibration.calibrate.calibrate`.
estimate
    `{"value", "low", "high"}`: a measure and its bootstrap interval, floats, or None if undefined.
"""
