"""Calibrated probabilities and prediction sets, fitted on the calibration images."""
