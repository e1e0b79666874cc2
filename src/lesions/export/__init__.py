"""Trained networks as ONNX files, with all that predicting needs, and how closely they agree."""
