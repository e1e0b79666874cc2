"""Means over photographs, and scores, each with a bootstrap interval over groups."""

import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights, estimate, evaluate_resamples
from lesions.evaluation.intervals import NO_INTERVAL, measure_resamples, measures_without_interval
from lesions.evaluation.metrics import weighted_means

SCORES = ("accuracy", "balanced_accuracy", "roc_auc_macro")


class Bootstrap:
    """Resamples of the photographs, and what is estimated with them."""

    def __init__(self, labels: np.ndarray, units: np.ndarray, config: BootstrapConfig):
        self._labels, self._units, self._config = labels, units, config
        drawn = {"n_resamples": config.n_resamples, "seed": config.seed}
        self._weights = draw_weights(labels, units, **drawn)

    def mean(self, values: np.ndarray) -> dict:
        """Estimate the mean over those photographs that have a value."""
        known = ~np.isnan(values)
        means = evaluate_resamples(
            lambda chunk: {"mean": weighted_means(values[known], chunk)}, self._weights[known]
        )
        return estimate(means["mean"], confidence=self._config.confidence)

    def scores(self, probabilities: np.ndarray) -> dict[str, dict]:
        """Estimate `SCORES`."""
        measured = measure_resamples(self._labels, probabilities, self._weights, self._config)
        level = self._config.confidence
        found = {name: estimate(measured[name], confidence=level) for name in SCORES}
        for name in set(SCORES) & set(measures_without_interval(self._labels, self._units)):
            found[name] |= NO_INTERVAL
        return found
