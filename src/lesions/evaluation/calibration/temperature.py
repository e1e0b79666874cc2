"""Temperature scaling: one number that corrects over- or underconfident probabilities.

Networks are mostly overconfident. Temperature scaling (Guo, Pleiss, Sun, Weinberger, "On
calibration of modern neural networks", ICML 2017, section 4.2) divides the logits by T, which
minimises the negative log likelihood on images that the model has not seen. It does not change
which class is the most probable. Logits are the logarithms of the probabilities: they differ from
the network's own by a constant in each row, which softmax removes.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from lesions.evaluation.predictions import check_predictions
from lesions.probabilities import MIN_PROBABILITY, apply_temperature

BOUNDS = (0.1, 10.0)  # of T
DECIMALS = 6  # of T and of losses


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return -log p of each image's own class, `(n_images,)`, natural logarithm.

    The mean is the negative log likelihood. A p below 1e-7 counts as 1e-7, so that one image whose
    class the model excluded does not make the mean infinite: the largest loss is 16.1.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], MIN_PROBABILITY))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the T from 0.1 to 10 that minimises the negative log likelihood, six decimals.

    The negative log likelihood is convex in 1 / T, so that there is one minimum. It is at a bound
    if the model is correct on every image (0.1) or no better than chance (10).
    """
    labels, probabilities = check_predictions(labels, probabilities)

    def loss(log_temperature):
        tempered = apply_temperature(probabilities, np.exp(log_temperature))
        return log_losses(labels, tempered).mean()

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-7})
    return round(float(np.exp(found.x)), DECIMALS)
