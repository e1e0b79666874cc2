"""One temperature for a model, so that its probabilities mean what they say.

Networks are mostly too sure of themselves. Temperature scaling (Guo, Pleiss, Sun, Weinberger, "On
calibration of modern neural networks", ICML 2017, section 4.2) divides the logits by one number, T,
which minimises the negative log likelihood on images that the model has not seen. It never changes
which diagnosis is the most probable. The logits are taken from the probabilities: their logarithms
differ from them by a constant in each row, which softmax takes away.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from lesions.predictions import check_predictions

SMALLEST = 1e-7  # stands for the zeros of probabilities that were written with six decimals
TEMPERATURES = (0.1, 10.0)  # where T is looked for
DECIMALS = 6  # of T and of what is measured with it


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Give softmax(log(p) / T), float64 `(n_images, 7)`, rows sum to 1.

    Parameters
    ----------
    probabilities
        `(n_images, 7)`; what is below 1e-7 counts as 1e-7.
    temperature
        Above 0; above 1 it makes the model less sure, below 1 surer.

    Raises
    ------
    ValueError
        If the temperature is not a finite number above 0.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"A temperature must be a finite number above 0; found {temperature}; "
            "run the stage 'calibrate' again."
        )
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=float), SMALLEST))
    return softmax(logits / temperature, axis=1)


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give every image's -log p of its own diagnosis, `(n_images,)`, natural logarithm.

    Their mean is the negative log likelihood. A p below 1e-7 counts as 1e-7, so that one image
    that the model ruled out does not make the mean infinite: the largest loss is 16.1.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Find the T that minimises the negative log likelihood, from 0.1 to 10, six decimals.

    The negative log likelihood is convex in 1 / T, so that there is one minimum. It lies at a bound
    where the model is right about every image (0.1) or no better than chance (10).

    Parameters
    ----------
    labels
        Integers 0 to 6, `(n_images,)`.
    probabilities
        `(n_images, 7)`, rows sum to 1, as the model gives them.
    """
    labels, probabilities = check_predictions(labels, probabilities)

    def loss(log_temperature):
        tempered = apply_temperature(probabilities, np.exp(log_temperature))
        return log_losses(labels, tempered).mean()

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-7}
    )
    return round(float(np.exp(found.x)), DECIMALS)
